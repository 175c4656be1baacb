//! When a revision was first carried out, as far as that was possible, and which revision each pod matches. A revision that does
//! not change a pod writes nothing about it.

use time::OffsetDateTime;

use super::{Store, error::Result};
use crate::core::names::PodId;

impl Store {
    /// Records when a revision was first carried out; returns whether that is new.
    pub async fn mark_synced(&self, id: i64, now: OffsetDateTime) -> Result<bool> {
        let query = sqlx::query!("UPDATE revisions SET synced_at = $2 WHERE id = $1 AND synced_at IS NULL", id, now);
        Ok(self.execute("mark_synced", query).await?.rows_affected() > 0)
    }

    /// Records the last declared revision of pods that match it; returns for how many that is new.
    pub async fn mark_pods_applied(&self, pods: &[PodId], now: OffsetDateTime) -> Result<u64> {
        let keys: Vec<String> = pods.iter().map(PodId::key).collect();
        let query = sqlx::query!(
            "UPDATE pods SET applied_revision = declared_revision, updated_at = $2 \
             WHERE id = ANY($1) AND applied_revision IS DISTINCT FROM declared_revision",
            &keys,
            now
        );
        Ok(self.execute("mark_pods_applied", query).await?.rows_affected())
    }
}
