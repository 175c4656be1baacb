//! Making requests and following them. A request is stored as a row; the reconciler carries it out.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use time::{Duration, OffsetDateTime};
use warp::{
    Reply,
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{Api, Question, ROOT, Refusal, answer};
use crate::{
    core::{
        decide::{
            request::{Request, RequestRefusal as Refused, RequestSpec},
            request_kind::RequestKind,
        },
        names::PodId,
    },
    dashboard::auth::{RequestBody, Visitor},
    store::{AddRequestError, RequestRow, view::Time},
};

/// The longest pause that ends by itself: a year.
const MAX_SECONDS: u32 = 31_536_000;

/// A whole number of seconds; in JSON, 60 and 60.0 are the same number.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    if number.fract() != 0.0 || !(1.0..=f64::from(MAX_SECONDS)).contains(&number) {
        return Err(D::Error::custom(format!("seconds must be a whole number from 1 to {MAX_SECONDS} (a year)")));
    }
    Ok(Some(number as u32))
}

/// A request, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum NewRequest {
    /// Stop a pod's container and start it again.
    Restart {
        /// The pod.
        pod: PodId,
    },
    /// Stop a pod's container and keep it stopped.
    Pause {
        /// The pod.
        pod: PodId,
        /// How long to pause; if absent, until somebody resumes it.
        #[serde(default, deserialize_with = "seconds")]
        #[schemars(range(min = 1, max = MAX_SECONDS))]
        seconds: Option<u32>,
    },
    /// End a pod's pause.
    Resume {
        /// The pod.
        pod: PodId,
    },
    /// Try again at once what failed, or was rejected.
    Retry {
        /// The pod.
        pod: PodId,
    },
    /// Start a pod whose data volume is gone with an empty one.
    #[serde(rename = "start-empty")]
    StartEmpty {
        /// The pod.
        pod: PodId,
    },
    /// Read the source now.
    Sync {},
    /// Approve the removals that this plan holds.
    Approve {
        /// The plan's hash, as `agentpod plan` shows it.
        #[schemars(regex(pattern = "^[0-9a-f]{12}$"), length(equal = 12))]
        plan: String,
    },
}

/// A request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RequestLine {
    /// Ascends with time.
    pub(crate) id: i64,
    /// Its kind.
    pub(crate) kind: RequestKind,
    /// The pod it is about; null: the whole fleet.
    pub(crate) pod: Option<PodId>,
    /// The same as a sentence.
    pub(crate) what: String,
    /// Who made it.
    pub(crate) actor: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    pub(crate) requested_at: OffsetDateTime,
    /// When it is too late to act on it; for a pause, its end.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub(crate) expires_at: Option<OffsetDateTime>,
    /// When a round first read it.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub(crate) picked_up_at: Option<OffsetDateTime>,
    /// When it was done or refused.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub(crate) ended_at: Option<OffsetDateTime>,
    /// The outcome, as a sentence.
    pub(crate) outcome: Option<String>,
    /// Whether it was carried out; null while it is open.
    pub(crate) done: Option<bool>,
}

impl From<RequestRow> for RequestLine {
    fn from(row: RequestRow) -> Self {
        let what = &row.open.request.what;
        Self {
            id: row.open.id,
            kind: what.kind(),
            pod: what.pod().cloned(),
            what: what.to_string(),
            actor: row.open.request.actor.clone(),
            requested_at: row.open.requested_at,
            expires_at: row.open.expires_at,
            picked_up_at: row.picked_up_at,
            ended_at: row.ended_at,
            outcome: row.outcome,
            done: row.done,
        }
    }
}

impl NewRequest {
    /// What to send for a request. A pause is sent as the whole seconds that remain, at least one.
    pub(crate) fn of(what: RequestSpec, now: OffsetDateTime) -> Self {
        match what {
            RequestSpec::Restart { pod } => Self::Restart { pod },
            RequestSpec::Pause { pod, until } => {
                let rest =
                    |until: OffsetDateTime| (until - now).as_seconds_f64().ceil().clamp(1.0, f64::from(u32::MAX));
                Self::Pause { pod, seconds: until.map(|until| rest(until) as u32) }
            }
            RequestSpec::Resume { pod } => Self::Resume { pod },
            RequestSpec::Retry { pod } => Self::Retry { pod },
            RequestSpec::StartEmpty { pod } => Self::StartEmpty { pod },
            RequestSpec::Sync => Self::Sync {},
            RequestSpec::Approve { plan } => Self::Approve { plan },
        }
    }

    fn spec(self, now: OffsetDateTime) -> RequestSpec {
        match self {
            Self::Restart { pod } => RequestSpec::Restart { pod },
            Self::Pause { pod, seconds } => {
                RequestSpec::Pause { pod, until: seconds.map(|seconds| now + Duration::seconds(seconds.into())) }
            }
            Self::Resume { pod } => RequestSpec::Resume { pod },
            Self::Retry { pod } => RequestSpec::Retry { pod },
            Self::StartEmpty { pod } => RequestSpec::StartEmpty { pod },
            Self::Sync {} => RequestSpec::Sync,
            Self::Approve { plan } => RequestSpec::Approve { plan },
        }
    }
}

impl Api {
    pub(super) async fn create_request(&self, visitor: &Visitor, sent: &RequestBody) -> Result<Response, Refusal> {
        let now = (self.clock)();
        let new: NewRequest = sent.json()?;
        let what = new.spec(now);
        if let Some(pod) = what.pod().filter(|pod| !visitor.person.sees(&pod.tenant)) {
            return Err(super::pods::missing(pod));
        }
        visitor.needs(what.is_permitted(&visitor.person))?;
        let request = Request { what, actor: visitor.person.name.clone() };
        let id = self.store.add_request(&request, now).await.map_err(|error| match error {
            AddRequestError::Refused(Refused::Unknown(pod)) => super::pods::missing(&pod),
            other => other.into(),
        })?;
        let row = self.store.request(id).await?.ok_or_else(Refusal::internal)?;
        let mut answer = answer::json(&RequestLine::from(row))?.into_response();
        *answer.status_mut() = StatusCode::ACCEPTED;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer::JSON));
        if let Ok(place) = format!("{ROOT}/requests/{id}").parse() {
            answer.headers_mut().insert(header::LOCATION, place);
        }
        Ok(answer)
    }

    pub(super) async fn request(&self, question: &Question<'_>) -> Result<Vec<u8>, Refusal> {
        let missing = || Refusal::not_found("there is no such request");
        let row = self.store.request(question.number().ok_or_else(missing)?).await?.ok_or_else(missing)?;
        let person = &question.visitor.person;
        let is_theirs = match row.open.request.what.pod() {
            Some(pod) => person.sees(&pod.tenant),
            None => person.sees_all(),
        };
        if !is_theirs {
            return Err(missing());
        }
        answer::json(&RequestLine::from(row))
    }
}
