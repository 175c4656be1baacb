//! Listening to what the database says, by a connection of its own that is kept open. What is heard means, is the
//! business of who listens.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{CONNECT, Store, error::Result, within};

impl Store {
    /// Begins to listen for a word. What was said before is not heard.
    pub(super) async fn listener(&self, word: &str) -> Result<PgListener> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .idle_timeout(None)
            .connect_lazy_with(self.options.clone());
        within(CONNECT, async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(word).await?;
            Ok(listener)
        })
        .await
    }
}

/// What is said next. An error when the connection is lost: what was said meanwhile is not known.
pub(super) async fn next(listener: &mut PgListener) -> Result<String> {
    match listener.try_recv().await? {
        Some(word) => Ok(word.payload().to_owned()),
        None => Err(sqlx::Error::PoolClosed.into()),
    }
}
