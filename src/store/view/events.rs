//! Events in a list: those that happened last come first. One that happens again moves to the front.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{EventLine, EventQuery, Page, View, cursor};
use crate::{
    core::{event::EventKind, names::PodId},
    store::{error::Result, pods::pod_id},
};

/// The columns of an event.
struct EventRow {
    id: i64,
    pod_id: Option<String>,
    event_type: String,
    message: String,
    cause: Option<String>,
    revision: Option<i64>,
    container: Option<String>,
    details: Option<Value>,
    count: i32,
    first_at: OffsetDateTime,
    last_at: OffsetDateTime,
}

/// Where a list of events continues.
#[derive(Serialize, Deserialize)]
struct EventCursor {
    #[serde(with = "time::serde::rfc3339")]
    last_at: OffsetDateTime,
    id: i64,
}

/// Selects events with the given rest of the statement.
macro_rules! select_events {
    ($rest:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            EventRow,
            "SELECT e.id, e.pod_id, e.event_type, e.message, e.cause, e.revision, e.container, e.details, \
             e.count, e.first_at, e.last_at FROM pod_events e " + $rest,
            $($argument),*
        )
    };
}

impl View<'_> {
    /// Events, by when they last happened, newest first. A tenant's person sees those of its pods.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<EventLine>> {
        let limit = cursor::limit(query.limit);
        let after = query.after.as_deref().and_then(cursor::read::<EventCursor>);
        let kinds = kinds(query);
        let statement = select_events!(
            "WHERE ($1::text IS NULL OR e.pod_id IN (SELECT id FROM pods WHERE tenant_id = $1)) AND \
             ($2::text IS NULL OR e.pod_id = $2) AND ($3::text IS NULL OR e.pod_id IN (SELECT id \
             FROM pods WHERE tenant_id = $3)) AND ($4::text[] IS NULL OR e.event_type = ANY($4)) AND \
             ($5::timestamptz IS NULL OR e.last_at >= $5) AND ($6::timestamptz IS NULL OR (e.last_at, e.id) < \
             ($6, $7::bigint)) ORDER BY e.last_at DESC, e.id DESC LIMIT $8",
            self.only(),
            query.pod.as_ref().map(PodId::key),
            query.tenant.as_ref().map(|tenant| tenant.as_str()),
            kinds.as_deref() as _,
            query.since,
            after.as_ref().map(|after| after.last_at),
            after.as_ref().map(|after| after.id),
            limit + 1
        );
        let mut rows = self.store.query("view_events", statement.fetch_all(&self.store.pool)).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(limit as usize);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| cursor::written(&EventCursor { last_at: last.last_at, id: last.id }));
        Ok(Page { items: rows.into_iter().map(line).collect::<Result<_>>()?, next })
    }

    /// The events with these IDs; those that this person may not see are left out.
    pub async fn events_of(&self, ids: &[i64]) -> Result<Vec<EventLine>> {
        let statement = select_events!(
            "LEFT JOIN pods p ON p.id = e.pod_id WHERE ($1::text IS NULL OR p.tenant_id = $1) AND e.id = \
             ANY($2) ORDER BY e.last_at, e.id",
            self.only(),
            ids
        );
        let rows = self.store.query("view_events_of", statement.fetch_all(&self.store.pool)).await?;
        rows.into_iter().map(line).collect()
    }
}

/// The kinds of events that a query asks for; `None`: all, also those that only another version knows.
fn kinds(query: &EventQuery) -> Option<Vec<&'static str>> {
    if query.kind.is_none() && query.severity.is_none() {
        return None;
    }
    let is_asked_for = |kind: &EventKind| {
        query.kind.is_none_or(|asked| asked == *kind) && query.severity.is_none_or(|least| kind.severity() >= least)
    };
    Some(EventKind::ALL.iter().copied().filter(is_asked_for).map(EventKind::as_str).collect())
}

fn line(row: EventRow) -> Result<EventLine> {
    let kind: EventKind = row.event_type.parse().unwrap_or_default();
    Ok(EventLine {
        id: row.id,
        pod: row.pod_id.as_deref().map(pod_id).transpose()?,
        kind,
        severity: kind.severity(),
        message: row.message,
        cause: row.cause,
        revision: row.revision,
        container: row.container,
        details: row.details,
        count: row.count,
        first_at: row.first_at,
        last_at: row.last_at,
    })
}
