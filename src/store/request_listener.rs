//! A word from one process to another on the same database: somebody asked for something, look again. It carries
//! nothing; who misses it finds what was asked for in the next round. Kept by a connection of its own.

use sqlx::{PgConnection, postgres::PgListener};

use super::{Store, error::Result, listen};

/// What the word is called on the server.
const CHANNEL: &str = "agentpod_asked";

/// Hears the word.
#[derive(Debug)]
pub struct RequestListener(PgListener);

impl Store {
    /// Begins to listen. Words from before are not heard.
    pub async fn listen(&self) -> Result<RequestListener> {
        Ok(RequestListener(self.listener(CHANNEL).await?))
    }
}

impl RequestListener {
    /// Waits for a word. An error when the connection is lost: what was said meanwhile is not known.
    pub async fn heard(&mut self) -> Result<()> {
        listen::next(&mut self.0).await.map(drop)
    }
}

/// Says the word, when the transaction is in.
pub(super) async fn tell(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(connection).await?;
    Ok(())
}
