//! Status: what each pod is doing, as the reconciler last saw it, and what pages and commands show. Written only when
//! something differs.

use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::{
    Store,
    error::{Result, StoreError},
    pods::{DesiredStatus, pod_id},
    storable,
};
use crate::core::{
    event::EventKind,
    names::PodId,
    observe::condition::Condition,
    report::{phase::Phase, reason::Reason, status::Status},
};

/// A pod as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodRow {
    /// Who it is.
    pub id: PodId,
    /// Its kind of agent.
    pub adapter: String,
    /// The first label of its host name.
    pub subdomain: String,
    /// Where people reach it.
    pub url: String,
    /// What it should be doing.
    pub desired_status: DesiredStatus,
    /// What it is doing.
    pub phase: Phase,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub phase_since: OffsetDateTime,
    /// The `Ready` condition.
    pub ready: bool,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Why, as one word.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// What else is true of it, or is not.
    pub conditions: Vec<Condition>,
    /// The container that stands for it.
    pub container: Option<String>,
    /// The digest of the container it should have.
    pub digest: Option<String>,
    /// How often that container was restarted.
    pub restarts: u32,
    /// The last revision that declared it otherwise than before; `None` from before this was kept.
    pub declared_revision: Option<i64>,
    /// The declared one that was last carried out: what its container is from.
    pub applied_revision: Option<i64>,
    /// Since when it is not declared any more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub undeclared_at: Option<OffsetDateTime>,
    /// When anything of this last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl PodRow {
    /// Whether nothing is left of it but its data and this row.
    pub fn is_gone(&self) -> bool {
        self.desired_status == DesiredStatus::Deleted && self.container.is_none()
    }
}

/// How far what is written can be believed when nobody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When anything was last written; `None` if nothing ever was.
    pub written_at: Option<OffsetDateTime>,
    /// Whether the last daemon said that it ends: then it was true until then.
    pub ended_well: bool,
}

#[derive(FromRow)]
struct StatusRow {
    id: String,
    adapter_id: String,
    subdomain: String,
    url: String,
    desired_status: String,
    phase: Option<String>,
    phase_since: OffsetDateTime,
    ready: bool,
    since: OffsetDateTime,
    reason: Option<String>,
    message: Option<String>,
    container: Option<String>,
    digest: Option<String>,
    restarts: i32,
    declared_revision: Option<i64>,
    applied_revision: Option<i64>,
    undeclared_at: Option<OffsetDateTime>,
    updated_at: OffsetDateTime,
}

/// A status as the table has it.
#[derive(PartialEq, FromRow)]
struct StoredStatus {
    phase: String,
    ready: bool,
    reason: String,
    message: Option<String>,
    container: Option<String>,
    container_id: Option<String>,
}

impl Store {
    /// Keeps a pod's status if anything differs; answers whether. A pod that was never declared has none.
    pub async fn write_status(&self, pod: &PodId, status: &Status, now: OffsetDateTime) -> Result<bool> {
        let key = pod.key();
        let new = StoredStatus {
            phase: status.phase.to_string(),
            ready: status.ready,
            reason: status.reason.to_string(),
            message: Some(storable(&status.message)),
            container: status.container.as_deref().map(storable),
            container_id: status.container_id.as_deref().map(storable),
        };
        self.run("write_status", async {
            let query = "SELECT phase, ready, reason, message, container, container_id FROM pod_phases JOIN pods ON id = pod_id WHERE pod_id = $1";
            let stored: Option<StoredStatus> = sqlx::query_as(query).bind(&key).fetch_optional(&self.pool).await?;
            if stored.as_ref() == Some(&new) {
                return Ok(false);
            }
            let mut transaction = self.pool.begin().await?;
            let is_written = write(&mut transaction, &key, &new, now).await?;
            transaction.commit().await?;
            Ok(is_written)
        })
        .await
    }

    /// Keeps how often a pod's container was restarted, if that differs; answers whether.
    pub async fn set_restarts(&self, pod: &PodId, restarts: u32, now: OffsetDateTime) -> Result<bool> {
        let query =
            sqlx::query("UPDATE pod_phases SET restarts = $2, updated_at = $3 WHERE pod_id = $1 AND restarts <> $2")
                .bind(pod.key())
                .bind(i32::try_from(restarts).unwrap_or(i32::MAX))
                .bind(now);
        Ok(self.query("set_restarts", query.execute(&self.pool)).await?.rows_affected() > 0)
    }

    /// Every pod that ever was declared, in order. See [`PodRow::is_gone`].
    pub async fn statuses(&self) -> Result<Vec<PodRow>> {
        let query = sqlx::query_as(
            "SELECT id, adapter_id, subdomain, url, desired_status, phase, coalesce(phase_since, created_at) AS phase_since, \
             coalesce(ready, false) AS ready, coalesce(since, created_at) AS since, reason, message, container, digest, \
             coalesce(restarts, 0) AS restarts, declared_revision, applied_revision, undeclared_at, greatest(pods.updated_at, pod_phases.updated_at) AS updated_at \
             FROM pods LEFT JOIN pod_phases ON pod_id = id",
        );
        let rows: Vec<StatusRow> = self.query("statuses", query.fetch_all(&self.pool)).await?;
        let mut rows = rows.into_iter().map(PodRow::try_from).collect::<Result<Vec<_>>>()?;
        let mut conditions = self.conditions().await?;
        for row in &mut rows {
            row.conditions = conditions.remove(&row.id).unwrap_or_default();
        }
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(rows)
    }

    /// When anything was last written, and whether the last daemon ended in order.
    pub async fn freshness(&self) -> Result<Freshness> {
        let query = "SELECT greatest((SELECT max(updated_at) FROM pod_phases), (SELECT max(updated_at) FROM pods), \
                       (SELECT max(last_at) FROM pod_events), (SELECT max(changed_at) FROM source_state), (SELECT max(greatest(fetched_at, applied_at)) FROM revisions)), \
                     coalesce((SELECT event_type = $1 FROM pod_events WHERE event_type IN ($1, $2) ORDER BY last_at DESC LIMIT 1), false)";
        let query =
            sqlx::query_as(query).bind(EventKind::DaemonStopped.as_str()).bind(EventKind::DaemonStarted.as_str());
        let (written_at, ended_well) = self.query("freshness", query.fetch_one(&self.pool)).await?;
        Ok(Freshness { written_at, ended_well })
    }
}

async fn write(connection: &mut PgConnection, key: &str, new: &StoredStatus, now: OffsetDateTime) -> Result<bool> {
    let StoredStatus { phase, ready, reason, message, container, container_id } = new;
    let written = sqlx::query(
        "INSERT INTO pod_phases AS old (pod_id, phase, ready, reason, message, container, phase_since, since, updated_at) \
         SELECT id, $2, $3, $4, $5, $6, $7, $7, $7 FROM pods WHERE id = $1 \
         ON CONFLICT (pod_id) DO UPDATE SET phase = excluded.phase, ready = excluded.ready, reason = excluded.reason, \
           message = excluded.message, container = excluded.container, updated_at = excluded.updated_at, \
           phase_since = CASE WHEN old.phase = excluded.phase THEN old.phase_since ELSE excluded.phase_since END, \
           since = CASE WHEN old.ready = excluded.ready THEN old.since ELSE excluded.since END",
    )
    .bind(key)
    .bind(phase)
    .bind(ready)
    .bind(reason)
    .bind(message)
    .bind(container)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE pods SET actual_status = lower($2), container_id = $3, updated_at = $4 WHERE id = $1 \
         AND (actual_status, container_id) IS DISTINCT FROM (lower($2), $3)",
    )
    .bind(key)
    .bind(phase)
    .bind(container_id)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// The phase a row tells; a pod that was not looked at yet is pending.
pub(super) fn read_phase(row: &str, text: Option<&str>) -> Result<Phase> {
    let Some(text) = text else { return Ok(Phase::Pending) };
    text.parse().map_err(|_| StoreError::inconsistent("pod_phases", row, format!("phase is {text:?}")))
}

impl TryFrom<StatusRow> for PodRow {
    type Error = StoreError;
    fn try_from(row: StatusRow) -> Result<Self> {
        Ok(Self {
            id: pod_id(&row.id)?,
            adapter: row.adapter_id,
            subdomain: row.subdomain,
            url: row.url,
            desired_status: DesiredStatus::read(&row.id, &row.desired_status)?,
            phase: read_phase(&row.id, row.phase.as_deref())?,
            phase_since: row.phase_since,
            ready: row.ready,
            since: row.since,
            reason: row.reason.map_or(Reason::Declared, |reason| reason.parse().unwrap_or_default()),
            message: row.message.unwrap_or_else(|| "it was declared and not looked at yet".into()),
            conditions: Vec::new(),
            container: row.container,
            digest: row.digest,
            restarts: row.restarts.unsigned_abs(),
            declared_revision: row.declared_revision,
            applied_revision: row.applied_revision,
            undeclared_at: row.undeclared_at,
            updated_at: row.updated_at,
        })
    }
}
