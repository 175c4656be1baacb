//! Notifications between processes on one database: a request was stored. They carry nothing; a process that misses one
//! finds the request in its next round. Received on a connection of its own.

use sqlx::{PgConnection, postgres::PgListener};

use super::{Store, error::Result, listen};

/// The notification channel.
const CHANNEL: &str = "agentpod_asked";

/// Receives notifications of new requests.
#[derive(Debug)]
pub struct RequestListener(PgListener);

impl Store {
    /// Starts to listen. Earlier notifications are missed.
    pub async fn listen(&self) -> Result<RequestListener> {
        Ok(RequestListener(self.listener(CHANNEL).await?))
    }
}

impl RequestListener {
    /// Waits for a notification. Fails when the connection is lost: notifications in between are missed.
    pub async fn recv(&mut self) -> Result<()> {
        listen::next(&mut self.0).await.map(drop)
    }
}

/// Sends the notification when the transaction commits.
pub(super) async fn notify(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(connection).await?;
    Ok(())
}
