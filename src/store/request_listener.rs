//! Notifications that another process stored a request. They carry nothing; whoever misses one finds the request in
//! its next round.

use sqlx::PgConnection;

use super::{
    Store,
    error::Result,
    notifications::{Notice, Notices, REQUESTS},
};

/// Receives notifications of new requests.
#[derive(Debug)]
pub struct RequestListener(Notices);

impl Store {
    /// Starts to listen, once the database can be reached. Earlier notifications are missed.
    pub async fn listen(&self) -> RequestListener {
        RequestListener(self.notices().await)
    }
}

impl RequestListener {
    /// Waits until a request was stored, or may have been.
    pub async fn recv(&mut self) {
        while let Notice::Changed(_) = self.0.next().await {}
    }
}

/// Sends the notification when the transaction commits.
pub(super) async fn notify(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", REQUESTS).execute(connection).await?;
    Ok(())
}
