//! Conditions: what is true of each pod besides being ready. The reconciler writes them, and only where they differ.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Store, error::Result, pods::pod_id, without_nul};
use crate::core::{names::PodId, observe::condition::Condition};

/// A condition as the table has it.
pub(super) struct ConditionRow {
    pub(super) pod_id: String,
    pub(super) kind: String,
    pub(super) is_true: Option<bool>,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) since: OffsetDateTime,
}

impl ConditionRow {
    /// The condition with its time; `None` if another version wrote one that is unknown here.
    pub fn read(self) -> Option<(Condition, OffsetDateTime)> {
        let kind = self.kind.parse().ok()?;
        let reason = self.reason.parse().unwrap_or_default();
        Some((Condition { kind, is_true: self.is_true, reason, message: self.message }, self.since))
    }
}

impl Store {
    /// The stored conditions of each pod, by kind.
    pub async fn conditions(&self) -> Result<BTreeMap<PodId, Vec<Condition>>> {
        let query = sqlx::query_as!(ConditionRow, "SELECT * FROM pod_conditions ORDER BY pod_id, kind");
        let rows = self.query("conditions", query.fetch_all(&self.pool)).await?;
        let mut all: BTreeMap<PodId, Vec<Condition>> = BTreeMap::new();
        for row in rows {
            let pod = pod_id(&row.pod_id)?;
            if let Some((condition, _)) = row.read() {
                all.entry(pod).or_default().push(condition);
            }
        }
        Ok(all)
    }

    /// Stores conditions where they differ; `since` stays while a condition stays true, false or unknown. Nothing is
    /// stored for a pod that was never declared.
    pub async fn set_conditions(&self, news: &[(&PodId, &Condition)], now: OffsetDateTime) -> Result<()> {
        let query = sqlx::query!(
            "INSERT INTO pod_conditions AS old (pod_id, kind, is_true, reason, message, since) \
             SELECT news.*, $6 FROM unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::text[]) AS \
             news (pod_id, kind, is_true, reason, message) JOIN pods ON pods.id = news.pod_id \
             WHERE NOT EXISTS (SELECT FROM pod_conditions same WHERE (same.pod_id, same.kind) = \
             (news.pod_id, news.kind) AND (same.is_true, same.reason, same.message) IS NOT DISTINCT \
             FROM (news.is_true, news.reason, news.message)) ON CONFLICT (pod_id, kind) DO UPDATE \
             SET is_true = excluded.is_true, reason = excluded.reason, message = excluded.message, since \
             = CASE WHEN old.is_true IS NOT DISTINCT FROM excluded.is_true THEN old.since ELSE \
             excluded.since END",
            news.iter().map(|(id, _)| id.key()).collect::<Vec<_>>() as _,
            news.iter().map(|(_, condition)| condition.kind.as_str()).collect::<Vec<_>>() as _,
            news.iter().map(|(_, condition)| condition.is_true).collect::<Vec<_>>() as _,
            news.iter().map(|(_, condition)| condition.reason.as_str()).collect::<Vec<_>>() as _,
            news.iter().map(|(_, condition)| without_nul(&condition.message)).collect::<Vec<_>>() as _,
            now
        );
        self.execute("set_conditions", query).await.map(drop)
    }

    /// Deletes the conditions of pods that only have their data left.
    pub async fn delete_conditions(&self, pods: &[PodId]) -> Result<()> {
        let query = sqlx::query!(
            "DELETE FROM pod_conditions WHERE pod_id = ANY($1)",
            &pods.iter().map(PodId::key).collect::<Vec<_>>()
        );
        self.execute("delete_conditions", query).await.map(drop)
    }
}
