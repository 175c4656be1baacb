//! Requests: what people ask AgentPod to do beyond the manifests, and whether it can be done. A request is a row until the
//! planner has handled it; events name who made it. How one is carried out is decided elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

use super::request_kind::RequestKind;
use crate::core::{access::Person, names::PodId};

/// The kind and arguments of a request, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RequestSpec {
    /// Stop a pod's container and start it again.
    Restart {
        /// The pod.
        pod: PodId,
    },
    /// Stop a pod's container and keep it stopped.
    Pause {
        /// The pod.
        pod: PodId,
        /// The end of the pause; `None`: when somebody resumes it.
        #[serde(default, with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
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
    Sync,
    /// Approve the removals that this plan holds.
    Approve {
        /// The plan's hash, as `agentpod plan` shows it.
        plan: String,
    },
}

/// A request, and who makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is requested.
    pub what: RequestSpec,
    /// Who makes it, as events show it: `alice@host`.
    pub actor: String,
}

/// A request that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRequest {
    /// Ascends with time.
    pub id: i64,
    /// What is requested, and by whom.
    pub request: Request,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    /// When it is too late to act on it; for a pause, its end.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// A request that is over, and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRequest {
    /// Its ID.
    pub id: i64,
    /// What was requested, and by whom.
    pub request: Request,
    /// Whether it was carried out.
    pub done: bool,
    /// The outcome, as a sentence.
    pub outcome: String,
}

/// The state of a pod when a request about it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodPresence {
    /// It was never declared.
    Never,
    /// It is no longer declared.
    Undeclared,
    /// It is declared stopped.
    Stopped,
    /// It is declared running.
    Running,
}

/// Why a request cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// There is no such pod.
    #[error("there is no pod {0}, and there never was one; agentpod status lists the pods")]
    Unknown(PodId),
    /// It is being removed.
    #[error("{0} is no longer declared; declare it again first")]
    Undeclared(PodId),
    /// Its manifest stops it.
    #[error("{0} is stopped by its manifest (state: stopped); change the manifest instead")]
    DeclaredStopped(PodId),
    /// It is paused.
    #[error("{pod} is already paused by {by}; agentpod resume {pod} ends the pause", by = pause.describe())]
    Paused {
        /// The pod.
        pod: PodId,
        /// The pause in force.
        pause: Pause,
    },
    /// It is not paused.
    #[error("{0} is not paused")]
    NotPaused(PodId),
    /// The pause would end before it begins.
    #[error("a pause must end in the future")]
    Past,
    /// The text is not a plan's hash.
    #[error("{0:?} is not the hash of a plan; agentpod plan shows the hash when a plan is held")]
    NoHash(String),
    /// It names nobody.
    #[error("the request names nobody; say who makes it")]
    Nobody,
    /// The name could change how a terminal shows it.
    #[error("the name of who makes the request contains a control character; write it as plain text on one line")]
    UnprintableName,
}

/// A pod is kept stopped because somebody requested it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// The ID of the request.
    pub request: i64,
    /// Who made it.
    pub(crate) actor: String,
    /// When it ends; `None`: when somebody resumes it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) until: Option<OffsetDateTime>,
}

impl Pause {
    /// `alice@host until 2026-11-24 12:34:56 UTC`.
    pub(crate) fn describe(&self) -> String {
        match self.until {
            Some(until) => format!("{} until {}", self.actor, moment(until)),
            None => format!("{} until somebody resumes it", self.actor),
        }
    }
}

/// How many characters of a plan's hash are shown and expected.
pub(crate) const HASH_LENGTH: usize = 12;

impl RequestSpec {
    /// Its kind.
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::Restart { .. } => RequestKind::Restart,
            Self::Pause { .. } => RequestKind::Pause,
            Self::Resume { .. } => RequestKind::Resume,
            Self::Retry { .. } => RequestKind::Retry,
            Self::StartEmpty { .. } => RequestKind::StartEmpty,
            Self::Sync => RequestKind::Sync,
            Self::Approve { .. } => RequestKind::Approve,
        }
    }

    /// The pod it is about; `None`: the whole fleet.
    pub(crate) fn pod(&self) -> Option<&PodId> {
        match self {
            Self::Restart { pod }
            | Self::Pause { pod, .. }
            | Self::Resume { pod }
            | Self::Retry { pod }
            | Self::StartEmpty { pod } => Some(pod),
            Self::Sync | Self::Approve { .. } => None,
        }
    }

    /// When it is too late to act on it, if made now; for a pause, its end.
    pub fn expires(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        match self {
            Self::Pause { until, .. } => *until,
            other => other
                .kind()
                .info()
                .expires_after
                .map(|wait| now.saturating_add(wait.try_into().unwrap_or(time::Duration::MAX))),
        }
    }

    /// Whether somebody may make it. Whether it can be made is another question: see [`Request::check`].
    pub(crate) fn is_permitted(&self, person: &Person) -> bool {
        match self.pod() {
            Some(pod) => person.may_request(&pod.tenant),
            None => person.may_request_for_all(),
        }
    }
}

impl fmt::Display for RequestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart { pod } => write!(f, "restart {pod}"),
            Self::Pause { pod, until: Some(until) } => write!(f, "pause {pod} until {}", moment(*until)),
            Self::Pause { pod, until: None } => write!(f, "pause {pod} until somebody resumes it"),
            Self::Resume { pod } => write!(f, "resume {pod}"),
            Self::Retry { pod } => write!(f, "retry {pod}"),
            Self::StartEmpty { pod } => write!(f, "start {pod} without its data"),
            Self::Sync => f.write_str("read the source now"),
            Self::Approve { plan } => write!(f, "approve the removals of plan {plan}"),
        }
    }
}

impl Request {
    /// Whether it can be made, given the state of its pod and the pause in force.
    pub(crate) fn check(
        &self,
        presence: PodPresence,
        pause: Option<&Pause>,
        now: OffsetDateTime,
    ) -> Result<(), RequestRefusal> {
        if self.actor.trim().is_empty() {
            return Err(RequestRefusal::Nobody);
        }
        if self.actor.chars().any(char::is_control) {
            return Err(RequestRefusal::UnprintableName);
        }
        match &self.what {
            RequestSpec::Sync => return Ok(()),
            RequestSpec::Approve { plan } => {
                let is_hash = plan.len() == HASH_LENGTH && plan.bytes().all(|byte| byte.is_ascii_hexdigit());
                return if is_hash { Ok(()) } else { Err(RequestRefusal::NoHash(plan.clone())) };
            }
            RequestSpec::Pause { until: Some(until), .. } if *until <= now => return Err(RequestRefusal::Past),
            _ => {}
        }
        let Some(pod) = self.what.pod() else { return Ok(()) };
        match (&self.what, presence, pause) {
            (_, PodPresence::Never, _) => Err(RequestRefusal::Unknown(pod.clone())),
            (RequestSpec::Resume { .. }, _, Some(_)) => Ok(()),
            (_, PodPresence::Undeclared, _) => Err(RequestRefusal::Undeclared(pod.clone())),
            (RequestSpec::Resume { .. }, _, None) => Err(RequestRefusal::NotPaused(pod.clone())),
            (_, _, Some(pause)) => Err(RequestRefusal::Paused { pod: pod.clone(), pause: pause.clone() }),
            (_, PodPresence::Stopped, None) => Err(RequestRefusal::DeclaredStopped(pod.clone())),
            (_, PodPresence::Running, None) => Ok(()),
        }
    }
}

impl OpenRequest {
    /// Ends it as carried out.
    pub fn done(&self, outcome: impl Into<String>) -> EndedRequest {
        EndedRequest { id: self.id, request: self.request.clone(), done: true, outcome: outcome.into() }
    }

    /// Ends it as refused.
    pub(crate) fn refused(&self, why: impl Into<String>) -> EndedRequest {
        EndedRequest { done: false, ..self.done(why) }
    }
}

/// The pause in force for a pod: requested, and ended neither by a later resume nor by its time.
pub(crate) fn pause_of(open: &[OpenRequest], pod: &PodId, now: OffsetDateTime) -> Option<Pause> {
    let mut current = None;
    for one in open.iter().filter(|one| one.request.what.pod() == Some(pod)) {
        match one.request.what {
            RequestSpec::Pause { until, .. } if until.is_none_or(|until| until > now) => {
                current = Some(Pause { request: one.id, actor: one.request.actor.clone(), until });
            }
            RequestSpec::Pause { .. } | RequestSpec::Resume { .. } => current = None,
            _ => {}
        }
    }
    current
}

/// `2026-11-24 12:34:56 UTC`.
pub(crate) fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 12:00 UTC);

    fn pod() -> PodId {
        "t/a".parse().unwrap()
    }

    fn ask(what: RequestSpec) -> Request {
        Request { what, actor: "alice@host".into() }
    }

    fn pause(until: Option<OffsetDateTime>) -> Request {
        ask(RequestSpec::Pause { pod: pod(), until })
    }

    #[test]
    fn a_request_that_cannot_be_made_is_refused_with_what_to_do() {
        let current = Pause { request: 1, actor: "bob@host".into(), until: Some(NOW + Duration::hours(2)) };
        let restart = || ask(RequestSpec::Restart { pod: pod() });
        let why = |request: Request, known, pause: Option<&Pause>| match request.check(known, pause, NOW) {
            Ok(()) => "yes".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        assert!(why(restart(), PodPresence::Never, None).starts_with("there is no pod t/a"));
        assert!(why(pause(None), PodPresence::Undeclared, None).starts_with("t/a is no longer declared"));
        assert!(why(restart(), PodPresence::Stopped, None).contains("state: stopped"));
        assert_eq!(why(restart(), PodPresence::Running, None), "yes");
        assert_eq!(
            why(pause(None), PodPresence::Running, Some(&current)),
            "t/a is already paused by bob@host until 2026-11-24 14:00:00 UTC; agentpod resume t/a ends the pause"
        );
        assert_eq!(why(ask(RequestSpec::Resume { pod: pod() }), PodPresence::Running, None), "t/a is not paused");
        assert_eq!(why(ask(RequestSpec::Resume { pod: pod() }), PodPresence::Undeclared, Some(&current)), "yes");
        assert_eq!(why(pause(Some(NOW)), PodPresence::Running, None), "a pause must end in the future");
        for bad in ["", "0123456789a", "0123456789ab0", "0123456789az"] {
            assert!(
                why(ask(RequestSpec::Approve { plan: bad.into() }), PodPresence::Never, None).contains("not the hash"),
                "{bad}"
            );
        }
        assert_eq!(
            why(Request { actor: " ".into(), ..restart() }, PodPresence::Running, None),
            "the request names nobody; say who makes it"
        );
        for bad in ["eve\nroot@host", "\u{1b}[2Jeve"] {
            let text = why(Request { actor: bad.into(), ..restart() }, PodPresence::Running, None);
            assert!(text.contains("control character") && !text.contains("eve"), "{text}");
        }
    }

    #[test]
    fn a_pause_lasts_until_its_time_or_until_somebody_resumes_it() {
        let open = |id, request: Request| OpenRequest { id, request, requested_at: NOW, expires_at: None };
        let (later, earlier) = (NOW + Duration::hours(1), NOW - Duration::hours(1));
        let current = |all: &[OpenRequest]| pause_of(all, &pod(), NOW).map(|pause| pause.request);
        let resume = || ask(RequestSpec::Resume { pod: pod() });
        assert_eq!(current(&[open(1, pause(Some(later)))]), Some(1));
        assert_eq!(current(&[open(1, pause(Some(earlier)))]), None);
        assert_eq!(current(&[open(1, pause(None)), open(2, resume())]), None);
        assert_eq!(current(&[open(1, pause(None)), open(2, resume()), open(3, pause(None))]), Some(3));
        assert!(pause_of(&[open(1, pause(None))], &"t/b".parse().unwrap(), NOW).is_none());
    }
}
