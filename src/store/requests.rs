//! Requests: rows that people write and the reconciler ends. `core::decide::request` says whether one can be made; the
//! planner decides how it is executed.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Store, StoreError, advisory,
    error::Result,
    events::{self, Event},
    json_without_nul,
    pods::{allow_removal, desired_status},
    request_listener,
    sync::SYNC,
    without_nul,
};
use crate::core::{
    decide::{
        plan::Allowance,
        request::{EndedRequest, OpenRequest, PodPresence, Request, RequestRefusal, RequestSpec, pause_of},
    },
    declare::desired_status::DesiredStatus,
    event::EventKind,
    names::PodId,
};

/// A request with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RequestRow {
    /// What was requested, by whom, when.
    #[serde(flatten)]
    pub open: OpenRequest,
    /// When a round first read it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub picked_up_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// The outcome, as a sentence.
    pub outcome: Option<String>,
    /// Whether it was carried out, once it ended.
    pub done: Option<bool>,
}

struct StoredRequest {
    id: i64,
    argument: Value,
    actor: String,
    requested_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    picked_up_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
    outcome: Option<String>,
    done: Option<bool>,
}

/// Selects requests with the given rest of the statement.
macro_rules! select_requests {
    ($rest:tt $(, $argument:expr)*) => {
        sqlx::query_as!(
            StoredRequest,
            "SELECT id, argument, actor, requested_at, expires_at, picked_up_at, ended_at, outcome, done \
             FROM requests " + $rest
            $(, $argument)*
        )
    };
}

/// Why a request was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AddRequestError {
    /// It cannot be made.
    #[error(transparent)]
    Refused(#[from] RequestRefusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Stores a request, and wakes the reconciler. Returns the request's ID.
    pub async fn add_request(&self, request: &Request, now: OffsetDateTime) -> Result<i64, AddRequestError> {
        let argument = serde_json::to_value(&request.what).map_err(|error| StoreError::Other(error.to_string()))?;
        let added = self.run("add_request", async {
            let mut transaction = self.begin().await?;
            // The pod's state must still be the same when the row is committed.
            advisory::lock(&mut transaction, SYNC).await?;
            let (presence, pause) = match request.what.pod() {
                None => (PodPresence::Never, None),
                Some(pod) => {
                    let open = open(&mut transaction).await?;
                    (presence(&mut transaction, pod).await?, pause_of(&open, pod, now))
                }
            };
            if let Err(refusal) = request.check(presence, pause.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let id = sqlx::query_scalar!(
                "INSERT INTO requests (kind, pod_id, argument, actor, requested_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
                request.what.kind().as_str(),
                request.what.pod().map(PodId::key),
                json_without_nul(&argument),
                without_nul(&request.actor),
                now,
                request.what.expires(now)
            )
            .fetch_one(&mut *transaction)
            .await?;
            request_listener::notify(&mut transaction).await?;
            transaction.commit().await?;
            Ok(Ok(id))
        });
        Ok(added.await??)
    }

    /// The open requests, oldest first.
    pub async fn open_requests(&self) -> Result<Vec<OpenRequest>> {
        self.run("open_requests", async { open(&mut *self.pool.acquire().await?).await }).await
    }

    /// One request, open or ended.
    pub async fn request(&self, id: i64) -> Result<Option<RequestRow>> {
        let query = select_requests!("WHERE id = $1", id);
        let row = self.query("request", query.fetch_optional(&self.pool)).await?;
        row.map(RequestRow::try_from).transpose()
    }

    /// Records that a round has read these.
    pub async fn take_requests(&self, ids: &[i64], now: OffsetDateTime) -> Result<()> {
        let query =
            sqlx::query!("UPDATE requests SET picked_up_at = $2 WHERE id = ANY($1) AND picked_up_at IS NULL", ids, now);
        self.execute("take_requests", query).await.map(drop)
    }

    /// Ends requests, and allows the removals that follow: everything, or nothing. Each records an event that says
    /// who made it; one that has already ended is left as it is.
    pub async fn end_requests(
        &self,
        ended: &[EndedRequest],
        allowed: &BTreeMap<PodId, Allowance>,
        now: OffsetDateTime,
    ) -> Result<()> {
        self.run("end_requests", async {
            let mut transaction = self.begin().await?;
            for one in ended {
                let rows = sqlx::query!(
                    "UPDATE requests SET ended_at = $2, outcome = $3, done = $4, picked_up_at = \
                     coalesce(picked_up_at, $2) WHERE id = $1 AND ended_at IS NULL",
                    one.id,
                    now,
                    without_nul(&one.outcome),
                    one.done
                )
                .execute(&mut *transaction)
                .await?;
                if rows.rows_affected() > 0 {
                    events::record(&mut transaction, &event(one), now).await?;
                }
            }
            for (pod, allowance) in allowed {
                allow_removal(&mut transaction, pod, Some(allowance)).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
    }
}

fn event(ended: &EndedRequest) -> Event {
    let Request { what, actor } = &ended.request;
    let kind = if ended.done { EventKind::RequestDone } else { EventKind::RequestRefused };
    Event {
        pod: what.pod().cloned(),
        cause: Some(format!("requested by {actor}")),
        ..Event::of_none(kind, format!("{what}: {}", ended.outcome))
    }
}

async fn open(connection: &mut PgConnection) -> Result<Vec<OpenRequest>> {
    let rows = select_requests!("WHERE ended_at IS NULL ORDER BY id").fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok(RequestRow::try_from(row)?.open)).collect()
}

async fn presence(connection: &mut PgConnection, pod: &PodId) -> Result<PodPresence> {
    let key = pod.key();
    let status =
        sqlx::query_scalar!("SELECT desired_status FROM pods WHERE id = $1", &key).fetch_optional(connection).await?;
    let status = status.map(|text| desired_status(&key, &text)).transpose()?;
    Ok(match status {
        None => PodPresence::Never,
        Some(DesiredStatus::Deleted) => PodPresence::Undeclared,
        Some(DesiredStatus::Stopped) => PodPresence::Stopped,
        Some(DesiredStatus::Running) => PodPresence::Running,
    })
}

impl TryFrom<StoredRequest> for RequestRow {
    type Error = StoreError;
    fn try_from(row: StoredRequest) -> Result<Self> {
        let StoredRequest { id, argument, actor, requested_at, expires_at, picked_up_at, ended_at, outcome, done } =
            row;
        let what: RequestSpec = serde_json::from_value(argument)
            .map_err(|error| StoreError::inconsistent("requests", id.to_string(), format!("argument: {error}")))?;
        let open = OpenRequest { id, request: Request { what, actor }, requested_at, expires_at };
        Ok(Self { open, picked_up_at, ended_at, outcome, done })
    }
}
