//! Locks by name that writers of the same thing take inside a transaction, one after the other. They end with the
//! transaction, so they work through a pooler too.

use sqlx::PgConnection;

use super::error::Result;
use crate::core::digest::Digest;

/// Waits for the lock of that name, and holds it until the transaction ends.
pub(super) async fn lock(transaction: &mut PgConnection, name: &str) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", key(name)).execute(transaction).await?;
    Ok(())
}

/// The lock's number: the first eight bytes of a hash of its name.
fn key(name: &str) -> i64 {
    let hash = Digest::of_bytes(name.as_bytes());
    let first = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    first.unwrap_or_default().cast_signed()
}
