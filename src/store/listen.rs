//! Listening to the database's notifications, on a connection of its own that is kept open. The caller knows what a
//! notification means.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{CONNECT_TIMEOUT, Store, error::Result, with_timeout};

impl Store {
    /// Starts to listen on a channel. Earlier notifications are missed.
    pub(super) async fn listener(&self, word: &str) -> Result<PgListener> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(None)
            .connect_lazy_with(self.options.clone());
        with_timeout(CONNECT_TIMEOUT, async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(word).await?;
            Ok(listener)
        })
        .await
    }
}

/// The next notification. Fails when the connection is lost: notifications in between are missed.
pub(super) async fn next(listener: &mut PgListener) -> Result<String> {
    match listener.try_recv().await? {
        Some(word) => Ok(word.payload().to_owned()),
        None => Err(sqlx::Error::PoolClosed.into()),
    }
}
