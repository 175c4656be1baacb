//! Turns at the container engine, among the tests of one program: they share it, and who starts a heavy agent, which has
//! so long and no longer to get ready, has it alone.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static ENGINE: RwLock<()> = RwLock::const_new(());

/// A turn, until it is dropped. Who has one takes no second one: somebody may wait in between.
pub enum Turn {
    /// With others.
    Shared(RwLockReadGuard<'static, ()>),
    /// With nobody.
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    /// A turn beside others.
    pub async fn shared() -> Self {
        Self::Shared(ENGINE.read().await)
    }

    /// A turn with nobody beside.
    pub async fn alone() -> Self {
        Self::Alone(ENGINE.write().await)
    }
}
