//! The instance row: which AgentPod a database belongs to, and whether the instance key at hand is the one its tokens
//! are sealed with. A wrong key ends the start; it never leads to new tokens.

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::{
    error::{Result, StoreError},
    key::{FingerprintKey, InstanceKey, random_text},
};
use crate::core::names::InstanceName;

const CHECK_CONTEXT: &str = "instance:check";
const FINGERPRINT_CONTEXT: &str = "instance:fingerprint";

#[derive(FromRow)]
struct InstanceRow {
    id: String,
    check_value: String,
    fingerprint_key: String,
    created_at: OffsetDateTime,
}

/// Makes the row if the database is new, checks it if not, and opens the key of the fingerprints.
pub(super) async fn claim(pool: &PgPool, key: &InstanceKey, instance: &InstanceName) -> Result<FingerprintKey> {
    let row = match read(pool).await? {
        Some(row) => row,
        None => {
            sqlx::query(
                "INSERT INTO instance (id, check_value, fingerprint_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(instance.as_str())
            .bind(key.seal(&"agentpod".into(), CHECK_CONTEXT)?)
            .bind(key.seal(&random_text()?, FINGERPRINT_CONTEXT)?)
            .execute(pool)
            .await?;
            // Another process may have been first: its row is the row.
            read(pool).await?.ok_or_else(|| StoreError::inconsistent("instance", instance.as_str(), "it is gone"))?
        }
    };
    if row.id != instance.as_str() {
        return Err(StoreError::OtherInstance { there: row.id, here: instance.to_string() });
    }
    if key.open_sealed(&row.check_value, CHECK_CONTEXT).is_err() {
        return Err(StoreError::KeyMismatch(mismatch(key, &row)));
    }
    let text = key.open_sealed(&row.fingerprint_key, FINGERPRINT_CONTEXT);
    let fingerprint_key = text.ok().and_then(|text| FingerprintKey::from_text(&text));
    fingerprint_key.ok_or_else(|| {
        StoreError::inconsistent(
            "instance",
            row.id,
            "its fingerprint_key cannot be opened; restore the row from a backup",
        )
    })
}

async fn read(pool: &PgPool) -> Result<Option<InstanceRow>> {
    Ok(sqlx::query_as("SELECT id, check_value, fingerprint_key, created_at FROM instance").fetch_optional(pool).await?)
}

fn mismatch(key: &InstanceKey, row: &InstanceRow) -> String {
    let (path, id, made) = (key.path().display(), &row.id, row.created_at.date());
    format!(
        "the key in {path} is not the one that the database of instance {id} was made with on {made}, so the pods' gateway tokens \
         cannot be opened. Nothing was changed. If the file was lost, or the state folder is a new one, put the old file back \
         in its place; if the database is the wrong one, name the right one. Without the old key, start with an empty database: \
         volumes and containers stay, and every pod gets a new token"
    )
}
