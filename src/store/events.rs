//! Events: durable lines of history. The same line again within ten minutes is counted, not repeated.

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use time::{Duration, OffsetDateTime};

use super::{
    Store,
    error::{Result, StoreError},
    storable, storable_json, within,
};
use crate::core::{event::EventKind, names::PodId};

/// How long after it happened first the same line is counted rather than repeated.
const FOLD: Duration = Duration::minutes(10);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// The pod it happened to, if to one.
    pub pod: Option<PodId>,
    /// What kind of thing.
    pub kind: EventKind,
    /// What happened, as a sentence. Never a secret.
    pub message: String,
    /// Why it was done.
    pub cause: Option<String>,
    /// The revision it was done for.
    pub revision: Option<i64>,
    /// The container it is about.
    pub container: Option<String>,
    /// More: last log lines, exit code.
    pub details: Option<Value>,
}

/// An event as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Grows with time.
    pub id: i64,
    /// What happened.
    pub event: Event,
    /// How often.
    pub count: i32,
    /// When first.
    pub created_at: OffsetDateTime,
    /// When last.
    pub last_at: OffsetDateTime,
}

impl Event {
    /// An event of no pod.
    pub fn of_none(kind: EventKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), ..Self::default() }
    }

    /// An event of a pod.
    pub fn of_pod(pod: &PodId, kind: EventKind, message: impl Into<String>) -> Self {
        Self { pod: Some(pod.clone()), kind, message: message.into(), ..Self::default() }
    }
}

impl Store {
    /// Keeps an event. One about a pod that was never declared is kept as one about no pod, and names it.
    pub async fn record(&self, event: &Event, now: OffsetDateTime) -> Result<()> {
        self.run("record", async { record(&mut *self.pool.acquire().await?, event, now).await }).await
    }

    /// Events, oldest first: the newest `limit` of them, or with `after` the first `limit` whose id is greater. A line
    /// that is only counted again keeps its id.
    pub async fn events(&self, pod: Option<&PodId>, limit: u32, after: Option<i64>) -> Result<Vec<EventRow>> {
        let newest = "SELECT * FROM (SELECT * FROM pod_events WHERE $1 IS NULL OR pod_id = $1 ORDER BY id DESC LIMIT $2) AS newest ORDER BY id";
        let following = "SELECT * FROM pod_events WHERE ($1 IS NULL OR pod_id = $1) AND id > $3 ORDER BY id LIMIT $2";
        let query = if after.is_some() { following } else { newest };
        let query = sqlx::query_as(query).bind(pod.map(PodId::key)).bind(i64::from(limit));
        let query = if after.is_some() { query.bind(after) } else { query };
        let rows: Vec<Row> = self.query("events", query.fetch_all(&self.pool)).await?;
        rows.into_iter().map(EventRow::try_from).collect()
    }

    /// The event that the source's content cannot be used, unless a later one says that it can again.
    pub async fn source_refused(&self) -> Result<Option<EventRow>> {
        // By time: a line that is counted again keeps its id.
        let query = "SELECT * FROM pod_events WHERE event_type = ANY($1) ORDER BY last_at DESC, id DESC LIMIT 1";
        let query =
            sqlx::query_as(query).bind([EventKind::SourceRefused, EventKind::SourceAccepted].map(EventKind::as_str));
        let row: Option<Row> = self.query("source_refused", query.fetch_optional(&self.pool)).await?;
        let row = row.map(EventRow::try_from).transpose()?;
        Ok(row.filter(|row| row.event.kind == EventKind::SourceRefused))
    }

    /// Forgets events that last happened before a time, and requests that ended before it; answers how many events.
    pub async fn prune(&self, older_than: OffsetDateTime) -> Result<u64> {
        let events = sqlx::query("DELETE FROM pod_events WHERE last_at < $1").bind(older_than);
        let requests = sqlx::query("DELETE FROM requests WHERE ended_at < $1").bind(older_than);
        self.run("prune", async {
            requests.execute(&self.pool).await?;
            Ok(events.execute(&self.pool).await?.rows_affected())
        })
        .await
    }
}

/// Keeps an event within whatever the connection is doing.
pub(super) async fn record(connection: &mut PgConnection, event: &Event, now: OffsetDateTime) -> Result<()> {
    let Event { pod, kind, message, cause, revision, container, details } = event;
    let key = pod.as_ref().map(PodId::key);
    let is_known: bool = match &key {
        Some(key) => {
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pods WHERE id = $1)")
                .bind(key)
                .fetch_one(&mut *connection)
                .await?
        }
        None => false,
    };
    let message = match pod {
        Some(pod) if !is_known => format!("{pod}: {message}"),
        _ => message.clone(),
    };
    sqlx::query(
        "WITH counted AS (
           UPDATE pod_events SET count = count + 1, last_at = $8, cause = $4, container = $6, details = coalesce($7, details),
             revision = (SELECT id FROM revisions WHERE id = $5)
           WHERE id = (SELECT max(id) FROM pod_events
             WHERE pod_id IS NOT DISTINCT FROM $1 AND event_type = $2 AND message = $3 AND created_at > $9)
           RETURNING id)
         INSERT INTO pod_events (pod_id, event_type, message, cause, revision, container, details, created_at, last_at)
         SELECT $1, $2, $3, $4, (SELECT id FROM revisions WHERE id = $5), $6, $7, $8, $8 WHERE NOT EXISTS (SELECT FROM counted)",
    )
    .bind(key.filter(|_| is_known))
    .bind(kind.as_str())
    .bind(storable(&message))
    .bind(cause.as_deref().map(storable))
    .bind(revision)
    .bind(container.as_deref().map(storable))
    .bind(details.as_ref().map(storable_json))
    .bind(now)
    .bind(now - FOLD)
    .execute(connection)
    .await?;
    Ok(())
}

/// An event as the table has it.
#[derive(FromRow)]
pub(super) struct Row {
    pub id: i64,
    pub pod_id: Option<String>,
    pub event_type: String,
    pub message: String,
    pub cause: Option<String>,
    pub revision: Option<i64>,
    pub container: Option<String>,
    pub details: Option<Value>,
    pub count: i32,
    pub created_at: OffsetDateTime,
    pub last_at: OffsetDateTime,
}

impl TryFrom<Row> for EventRow {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let read = |key: String| {
            PodId::from_key(&key)
                .ok_or_else(|| StoreError::inconsistent("pod_events", row.id.to_string(), "pod_id is no pod"))
        };
        let event = Event {
            pod: row.pod_id.map(read).transpose()?,
            kind: row.event_type.parse().unwrap_or_default(),
            message: row.message,
            cause: row.cause,
            revision: row.revision,
            container: row.container,
            details: row.details,
        };
        Ok(Self { id: row.id, event, count: row.count, created_at: row.created_at, last_at: row.last_at })
    }
}
