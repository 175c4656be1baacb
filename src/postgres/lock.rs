//! Who may do what when several AgentPod processes share one server: two lock files, held through the kernel, so
//! that a killed process lets go by itself. It may not touch the server.
//!
//! `turn.lock` is held while somebody looks at, starts or stops the server: one at a time. `users.lock` is held
//! shared by everybody who uses it. Whoever wants to know whether he is the last asks during his turn, and shares
//! are only taken during a turn, so the answer stays true until the turn is over.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::{error::PostgresError, files, home::Home};

/// Longer than anybody needs who is at work: a start may take `server::READY`, and stop `server::STOP` before it.
const PATIENCE: Duration = Duration::from_secs(240);

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has forked, and that has yet to become its program,
        // has the file open too. Should this fail, the closing that follows must do.
        let _ = self.0.unlock();
    }
}

/// Waits for our turn; it ends when this is dropped.
pub async fn turn(home: &Home) -> Result<Lock, PostgresError> {
    let path = home.turn_lock();
    let file = files::lock_file(home, &path)?;
    let began = crate::clock::instant();
    loop {
        if held(file.try_lock(), &path)? {
            return Ok(Lock(file));
        }
        if began.elapsed() > PATIENCE {
            return Err(PostgresError::Busy { path, waited: began.elapsed() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes a share in the server. Only during our turn.
pub fn join(home: &Home) -> Result<Lock, PostgresError> {
    let path = home.users_lock();
    let file = files::lock_file(home, &path)?;
    match held(file.try_lock_shared(), &path)? {
        true => Ok(Lock(file)),
        // Exclusive is held only during a turn, and it is our turn: a stranger holds it.
        false => Err(PostgresError::Busy { path, waited: Duration::ZERO }),
    }
}

/// Says whether nobody holds a share, and keeps it so. Only during our turn, after dropping our own share.
pub fn alone(home: &Home) -> Result<Option<Lock>, PostgresError> {
    let path = home.users_lock();
    let file = files::lock_file(home, &path)?;
    Ok(held(file.try_lock(), &path)?.then(|| Lock(file)))
}

fn held(outcome: Result<(), TryLockError>, path: &Path) -> Result<bool, PostgresError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(PostgresError::io("locking", path)(source)),
    }
}
