//! Coordinates AgentPod processes that share one server, with two lock files that the kernel releases if a process is
//! killed. It does not touch the server.
//!
//! `turn.lock` is exclusive: held while a process inspects, starts or stops the server. `users.lock` is shared: held by every
//! process that uses the server. Shared locks are only taken while holding the turn, so during a turn the number of users
//! cannot grow.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::{error::PostgresError, files, home::Home};

/// How long to wait for the turn: longer than a stop and a start together may take.
const TURN_TIMEOUT: Duration = Duration::from_secs(240);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child that another thread has just forked has the file open too.
        let _ = self.0.unlock();
    }
}

/// Waits for the turn, which ends when the lock is dropped.
pub(crate) async fn acquire_turn(home: &Home) -> Result<Lock, PostgresError> {
    let path = home.turn_lock();
    let file = files::lock_file(home, &path)?;
    let began = crate::clock::instant();
    loop {
        if is_acquired(file.try_lock(), &path)? {
            return Ok(Lock(file));
        }
        if began.elapsed() > TURN_TIMEOUT {
            return Err(PostgresError::Busy { path, waited: began.elapsed() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Registers this process as a user of the server. Only while holding the turn.
pub(crate) fn register_user(home: &Home) -> Result<Lock, PostgresError> {
    let path = home.users_lock();
    let file = files::lock_file(home, &path)?;
    match is_acquired(file.try_lock_shared(), &path)? {
        true => Ok(Lock(file)),
        // An exclusive lock needs the turn, which this process holds, so a foreign process has it.
        false => Err(PostgresError::Busy { path, waited: Duration::ZERO }),
    }
}

/// Locks out other users, if there are none. Only while holding the turn, and after dropping the own user lock.
pub(crate) fn try_exclusive(home: &Home) -> Result<Option<Lock>, PostgresError> {
    let path = home.users_lock();
    let file = files::lock_file(home, &path)?;
    Ok(is_acquired(file.try_lock(), &path)?.then(|| Lock(file)))
}

fn is_acquired(outcome: Result<(), TryLockError>, path: &Path) -> Result<bool, PostgresError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(PostgresError::io("locking", path)(source)),
    }
}
