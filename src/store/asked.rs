//! A word from one process to another on the same database: somebody asked for something, look again. It carries
//! nothing; who misses it finds what was asked for in the next round. Kept by a connection of its own.

use sqlx::{
    PgConnection,
    postgres::{PgListener, PgPoolOptions},
};

use super::{CONNECT, Store, error::Result, within};

/// What the word is called on the server.
const CHANNEL: &str = "agentpod_asked";

/// Hears the word.
#[derive(Debug)]
pub struct Ear(PgListener);

impl Store {
    /// Begins to listen. Words from before are not heard.
    pub async fn listen(&self) -> Result<Ear> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .idle_timeout(None)
            .connect_lazy_with(self.options.clone());
        within(CONNECT, async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(Ear(listener))
        })
        .await
    }
}

impl Ear {
    /// Waits for a word. An error when the connection is lost: what was said meanwhile is not known.
    pub async fn heard(&mut self) -> Result<()> {
        match self.0.try_recv().await? {
            Some(_) => Ok(()),
            None => Err(sqlx::Error::PoolClosed.into()),
        }
    }
}

/// Says the word, when the transaction is in.
pub(super) async fn tell(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}
