//! What was carried out: which revision first stood as it declares, and which one each pod is from. A revision that does
//! not touch a pod writes nothing of it.

use time::OffsetDateTime;

use super::{Store, error::Result};
use crate::core::names::PodId;

impl Store {
    /// Keeps when every pod first was as a revision declares; answers whether that is news.
    pub async fn mark_applied(&self, id: i64, now: OffsetDateTime) -> Result<bool> {
        let query = sqlx::query!("UPDATE revisions SET applied_at = $2 WHERE id = $1 AND applied_at IS NULL", id, now);
        Ok(self.query("mark_applied", query.execute(&self.pool)).await?.rows_affected() > 0)
    }

    /// Keeps that pods stand as they were last declared; answers for how many that is news.
    pub async fn mark_pods_applied(&self, pods: &[PodId], now: OffsetDateTime) -> Result<u64> {
        let keys: Vec<String> = pods.iter().map(PodId::key).collect();
        let query = sqlx::query!(
            "UPDATE pods SET applied_revision = declared_revision, updated_at = $2 \
             WHERE id = ANY($1) AND applied_revision IS DISTINCT FROM declared_revision",
            &keys,
            now
        );
        Ok(self.query("mark_pods_applied", query.execute(&self.pool)).await?.rows_affected())
    }
}
