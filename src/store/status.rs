//! Status: what each pod is doing, as of the reconciler's last round, for pages and commands. Written only when
//! something differs.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Store,
    error::{Result, StoreError},
    pods::pod_id,
    without_nul,
};
use crate::core::{
    event::EventKind,
    names::PodId,
    observe::actual::ObservedContainer,
    report::{phase::Phase, status::Status},
};

/// How current the stored status is when no daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When anything was last written; `None` if nothing ever was.
    pub(crate) written_at: Option<OffsetDateTime>,
    /// Whether the last daemon stopped in order: then the status was current until then.
    pub(crate) ended_well: bool,
}

/// A status as the table has it.
#[derive(PartialEq)]
struct StoredStatus {
    phase: String,
    ready: bool,
    reason: String,
    message: Option<String>,
    container: Option<String>,
    container_id: Option<String>,
    node: String,
}

impl Store {
    /// Stores a pod's status if anything differs; returns whether. A pod that was never declared has none.
    pub async fn write_status(&self, pod: &PodId, status: &Status, now: OffsetDateTime) -> Result<bool> {
        let key = pod.key();
        let mut new = StoredStatus {
            phase: status.phase.to_string(),
            ready: status.ready,
            reason: status.reason.to_string(),
            message: Some(without_nul(&status.message)),
            container: status.container.as_deref().map(without_nul),
            container_id: status.container_id.as_deref().map(without_nul),
            node: status.node.as_deref().map(without_nul).unwrap_or_default(),
        };
        self.run("write_status", async {
            let query = sqlx::query_as!(
                StoredStatus,
                "SELECT phase, ready, reason, message, container, container_id, node \
                 FROM pod_phases JOIN pods ON id = pod_id WHERE pod_id = $1",
                key
            );
            let stored = query.fetch_optional(&self.pool).await?;
            // A pod without a container stays where it was.
            if let Some(stored) = stored.as_ref().filter(|_| new.node.is_empty()) {
                new.node.clone_from(&stored.node);
            }
            if stored.as_ref() == Some(&new) {
                return Ok(false);
            }
            let mut transaction = self.begin().await?;
            let is_written = write(&mut transaction, &key, &new, now).await?;
            transaction.commit().await?;
            Ok(is_written)
        })
        .await
    }

    /// Stores how often a pod's container was restarted, if that differs; returns whether.
    pub async fn set_restarts(&self, pod: &PodId, restarts: u32, now: OffsetDateTime) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE pod_phases SET restarts = $2, updated_at = $3 WHERE pod_id = $1 AND restarts <> $2",
            pod.key(),
            i32::try_from(restarts).unwrap_or(i32::MAX),
            now
        );
        Ok(self.execute("set_restarts", query).await?.rows_affected() > 0)
    }

    /// The pods that are no longer declared and whose last status has a container.
    pub(crate) async fn pods_being_removed(&self) -> Result<Vec<PodId>> {
        let query = sqlx::query_scalar!(
            "SELECT id FROM pods JOIN pod_phases ON pod_id = id WHERE desired_status = 'deleted' AND \
             container IS NOT NULL"
        );
        let rows = self.query("pods_being_removed", query.fetch_all(&self.pool)).await?;
        rows.iter().map(|key| pod_id(key)).collect()
    }

    /// The container that each pod had when its status was last written.
    pub(crate) async fn last_containers(&self) -> Result<Vec<ObservedContainer>> {
        let query = sqlx::query!(
            "SELECT id, container AS \"container!\", container_id AS \"container_id!\" FROM pods \
             JOIN pod_phases ON pod_id = id WHERE container IS NOT NULL AND container_id IS NOT NULL"
        );
        let rows = self.query("last_containers", query.fetch_all(&self.pool)).await?;
        rows.into_iter()
            .map(|row| Ok(ObservedContainer::remembered(pod_id(&row.id)?, row.container, row.container_id)))
            .collect()
    }

    /// When anything was last written, and whether the last daemon stopped in order.
    pub async fn freshness(&self) -> Result<Freshness> {
        let query = sqlx::query_as!(
            Freshness,
            "SELECT greatest((SELECT max(updated_at) FROM pod_phases), (SELECT max(updated_at) \
             FROM pods), (SELECT max(last_at) FROM pod_events), (SELECT max(changed_at) \
             FROM source_state), (SELECT max(greatest(fetched_at, synced_at)) \
             FROM revisions)) AS written_at, coalesce((SELECT event_type = $1 \
             FROM pod_events WHERE event_type IN ($1, $2) ORDER BY last_at DESC LIMIT 1), false) AS \
             \"ended_well!\"",
            EventKind::DaemonStopped.as_str(),
            EventKind::DaemonStarted.as_str()
        );
        self.query("freshness", query.fetch_one(&self.pool)).await
    }
}

async fn write(connection: &mut PgConnection, key: &str, new: &StoredStatus, now: OffsetDateTime) -> Result<bool> {
    let StoredStatus { phase, ready, reason, message, container, container_id, node } = new;
    let written = sqlx::query!(
        "INSERT INTO pod_phases AS old (pod_id, phase, ready, reason, message, container, \
         phase_since, since, updated_at) SELECT id, $2, $3, $4, $5, $6, $7, $7, $7 \
         FROM pods WHERE id = $1 ON CONFLICT (pod_id) DO UPDATE SET phase = excluded.phase, ready = \
         excluded.ready, reason = excluded.reason, message = excluded.message, container = \
         excluded.container, updated_at = excluded.updated_at, phase_since = CASE WHEN old.phase = \
         excluded.phase THEN old.phase_since ELSE excluded.phase_since END, since = CASE WHEN \
         old.ready = excluded.ready THEN old.since ELSE excluded.since END",
        key,
        phase,
        ready,
        reason,
        message.as_deref(),
        container.as_deref(),
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE pods SET actual_status = lower($2), container_id = $3, node = coalesce(nullif($5, ''), node), \
         updated_at = $4 \
         WHERE id = $1 AND (actual_status, container_id, node) \
         IS DISTINCT FROM (lower($2), $3, coalesce(nullif($5, ''), node))",
        key,
        phase,
        container_id.as_deref(),
        now,
        node
    )
    .execute(&mut *connection)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// The phase in a row; a pod that no round has reached yet is pending.
pub(super) fn read_phase(row: &str, text: Option<&str>) -> Result<Phase> {
    let Some(text) = text else { return Ok(Phase::Pending) };
    text.parse().map_err(|_| StoreError::inconsistent("pod_phases", row, format!("phase is {text:?}")))
}
