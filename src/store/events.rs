//! Events: durable history. An event that repeats within ten minutes is counted, not stored again.

use serde_json::Value;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{Store, error::Result, json_without_nul, without_nul};
use crate::core::{event::EventKind, names::PodId};

/// How long after the first time a repeated event is counted rather than stored.
const REPEAT_WINDOW: Duration = Duration::minutes(10);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// The pod it happened to, if to one.
    pub pod: Option<PodId>,
    /// Its kind.
    pub kind: EventKind,
    /// What happened, as a sentence. Never a secret.
    pub message: String,
    /// Why it was done.
    pub cause: Option<String>,
    /// The revision in force.
    pub revision: Option<i64>,
    /// The container it is about.
    pub container: Option<String>,
    /// Details: last log lines, exit code.
    pub details: Option<Value>,
}

/// Why the source's content cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRefusal {
    /// Why, as a sentence.
    pub message: String,
    /// When this was last observed.
    pub(crate) since: OffsetDateTime,
}

impl Event {
    /// An event that is not about a pod.
    pub fn of_none(kind: EventKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), ..Self::default() }
    }

    /// An event of a pod.
    pub fn of_pod(pod: &PodId, kind: EventKind, message: impl Into<String>) -> Self {
        Self { pod: Some(pod.clone()), kind, message: message.into(), ..Self::default() }
    }
}

impl Store {
    /// Stores an event. One about a pod that was never declared is stored without a pod, and names it in its message.
    pub async fn record(&self, event: &Event, now: OffsetDateTime) -> Result<()> {
        self.run("record", async {
            let mut transaction = self.begin().await?;
            record(&mut transaction, event, now).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// Why the source's content cannot be used, unless a later event says that it can be again.
    pub async fn source_refusal(&self) -> Result<Option<SourceRefusal>> {
        // By time, because a repeated event keeps its ID.
        let query = sqlx::query!(
            "SELECT event_type, message, last_at FROM pod_events WHERE event_type IN ($1, $2) \
             ORDER BY last_at DESC, id DESC LIMIT 1",
            EventKind::SourceRefused.as_str(),
            EventKind::SourceAccepted.as_str()
        );
        let row = self.query("source_refusal", query.fetch_optional(&self.pool)).await?;
        let row = row.filter(|row| row.event_type == EventKind::SourceRefused.as_str());
        Ok(row.map(|row| SourceRefusal { message: row.message, since: row.last_at }))
    }

    /// Deletes events that last happened before a time, and requests that ended before it; returns the number of events.
    pub async fn prune(&self, older_than: OffsetDateTime) -> Result<u64> {
        let events = sqlx::query!("DELETE FROM pod_events WHERE last_at < $1", older_than);
        let requests = sqlx::query!("DELETE FROM requests WHERE ended_at < $1", older_than);
        self.run("prune", async {
            let mut transaction = self.begin().await?;
            requests.execute(&mut *transaction).await?;
            let deleted = events.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

/// Stores an event within the connection's transaction.
pub(super) async fn record(connection: &mut PgConnection, event: &Event, now: OffsetDateTime) -> Result<()> {
    let Event { pod, kind, message, cause, revision, container, details } = event;
    let key = pod.as_ref().map(PodId::key);
    let is_known: bool = match &key {
        Some(key) => {
            sqlx::query_scalar!("SELECT EXISTS (SELECT FROM pods WHERE id = $1) AS \"exists!\"", key)
                .fetch_one(&mut *connection)
                .await?
        }
        None => false,
    };
    let message = match pod {
        Some(pod) if !is_known => format!("{pod}: {message}"),
        _ => message.clone(),
    };
    sqlx::query!(
        "WITH counted AS (UPDATE pod_events SET count = count + 1, last_at = $8, cause = $4, container = $6, \
         details = coalesce($7, details), revision = (SELECT id FROM revisions WHERE id = $5) \
         WHERE id = (SELECT max(id) FROM pod_events WHERE pod_id IS NOT DISTINCT FROM $1 AND event_type = $2 \
         AND message = $3 AND first_at > $9) RETURNING id) \
         INSERT INTO pod_events (pod_id, event_type, message, cause, revision, container, details, first_at, last_at) \
         SELECT $1, $2, $3, $4, (SELECT id FROM revisions WHERE id = $5), $6, $7, $8, $8 \
         WHERE NOT EXISTS (SELECT FROM counted)",
        key.filter(|_| is_known),
        kind.as_str(),
        without_nul(&message),
        cause.as_deref().map(without_nul),
        *revision,
        container.as_deref().map(without_nul),
        details.as_ref().map(json_without_nul),
        now,
        now - REPEAT_WINDOW
    )
    .execute(connection)
    .await?;
    Ok(())
}
