//! Requests: what a person asks for beside the manifests, and whether it can be asked for at all. They are rows until the
//! planner has seen to them; who asked stands in the events. Nothing in here says how one is carried out.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::core::names::PodId;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RequestSpec {
    /// Stop a pod's container and start it again.
    Restart {
        /// Which.
        pod: PodId,
    },
    /// Stop a pod's container, and keep it stopped.
    Pause {
        /// Which.
        pod: PodId,
        /// Until when; `None` is until somebody resumes it.
        #[serde(default, with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// End a pod's pause.
    Resume {
        /// Which.
        pod: PodId,
    },
    /// Read the source now.
    Sync,
    /// Let the removals go on that this plan holds.
    Approve {
        /// The plan's hash, as `agentpod plan` shows it.
        plan: String,
    },
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What.
    pub what: RequestSpec,
    /// Who, as it is to stand in the events: `alice@host`.
    pub actor: String,
}

/// A request nobody is done with yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRequest {
    /// Grows with time.
    pub id: i64,
    /// What was asked for, and by whom.
    pub request: Request,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    /// When it is not worth anything any more; a pause's end.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// A request that is over, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRequest {
    /// Which.
    pub id: i64,
    /// What was asked for, and by whom.
    pub request: Request,
    /// Whether it was carried out.
    pub done: bool,
    /// How it went, as a sentence.
    pub outcome: String,
}

/// What is known of a pod when something is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodPresence {
    /// It never was declared.
    Never,
    /// It is not declared any more.
    Undeclared,
    /// It is declared stopped.
    Stopped,
    /// It is declared running.
    Running,
}

/// Why something cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// There is no such pod.
    #[error("there is no pod {0}, and there never was; agentpod status lists the pods")]
    Unknown(PodId),
    /// It is being removed.
    #[error("{0} is not declared any more, so there is nothing to ask for; declare it again first")]
    Undeclared(PodId),
    /// Its manifest stops it.
    #[error("{0} is stopped by its manifest (state: stopped); change that instead")]
    DeclaredStopped(PodId),
    /// It is paused.
    #[error("{pod} is paused already, by {by}; agentpod resume {pod} ends that", by = pause.words())]
    Paused {
        /// Which.
        pod: PodId,
        /// By whom, until when.
        pause: Pause,
    },
    /// It is not paused.
    #[error("{0} is not paused")]
    NotPaused(PodId),
    /// The pause would be over before it begins.
    #[error("a pause must end in the future")]
    Past,
    /// It is no plan's hash.
    #[error("{0:?} is not the hash of a plan; agentpod plan shows it when one is held")]
    NoHash(String),
    /// Nobody is named.
    #[error("who asks must be named")]
    Nobody,
    /// The name would do more than stand in a line.
    #[error("the name of who asks holds a control character; write it as plain text in one line")]
    UnprintableName,
}

/// A pod is kept stopped because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// The request that asked for it.
    pub request: i64,
    /// Who.
    pub actor: String,
    /// Until when, if it ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

impl Pause {
    /// `alice@host until 2026-11-24 12:34:56 UTC`.
    pub fn words(&self) -> String {
        match self.until {
            Some(until) => format!("{} until {}", self.actor, moment(until)),
            None => format!("{} until somebody resumes it", self.actor),
        }
    }
}

/// How many characters of a plan's hash are shown and have to be given.
pub const HASH_LENGTH: usize = 12;

impl RequestSpec {
    /// One word, as it stands in the row.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Sync => "sync",
            Self::Approve { .. } => "approve",
        }
    }

    /// The pod it is about, if about one.
    pub fn pod(&self) -> Option<&PodId> {
        match self {
            Self::Restart { pod } | Self::Pause { pod, .. } | Self::Resume { pod } => Some(pod),
            Self::Sync | Self::Approve { .. } => None,
        }
    }

    /// When it is not worth anything any more, asked for now. A restart nobody made for an hour would only surprise; an
    /// approval is meant for what its author has just read; a wish to resume does not age.
    pub fn expires(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        match self {
            Self::Restart { .. } | Self::Sync => Some(now + Duration::hours(1)),
            Self::Approve { .. } => Some(now + Duration::days(1)),
            Self::Pause { until, .. } => *until,
            Self::Resume { .. } => None,
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
            Self::Sync => f.write_str("read the source now"),
            Self::Approve { plan } => write!(f, "approve the removals of plan {plan}"),
        }
    }
}

impl Request {
    /// Whether it can be asked for, from what is known of its pod and of the pause in force.
    pub fn check(&self, known: PodPresence, pause: Option<&Pause>, now: OffsetDateTime) -> Result<(), RequestRefusal> {
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
        match (&self.what, known, pause) {
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
    /// That it was carried out.
    pub fn done(&self, outcome: impl Into<String>) -> EndedRequest {
        EndedRequest { id: self.id, request: self.request.clone(), done: true, outcome: outcome.into() }
    }

    /// That it was not, and why.
    pub fn refused(&self, why: impl Into<String>) -> EndedRequest {
        EndedRequest { done: false, ..self.done(why) }
    }
}

/// The pause of a pod that stands: asked for, and not ended by a later wish to resume, or by its time.
pub fn pause_of(open: &[OpenRequest], pod: &PodId, now: OffsetDateTime) -> Option<Pause> {
    let mut standing = None;
    for one in open.iter().filter(|one| one.request.what.pod() == Some(pod)) {
        match one.request.what {
            RequestSpec::Pause { until, .. } if until.is_none_or(|until| until > now) => {
                standing = Some(Pause { request: one.id, actor: one.request.actor.clone(), until });
            }
            RequestSpec::Pause { .. } | RequestSpec::Resume { .. } => standing = None,
            _ => {}
        }
    }
    standing
}

/// `2026-11-24 12:34:56 UTC`.
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

#[cfg(test)]
mod tests {
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
    fn what_cannot_be_asked_for_is_refused_with_what_to_do() {
        let standing = Pause { request: 1, actor: "bob@host".into(), until: Some(NOW + Duration::hours(2)) };
        let restart = || ask(RequestSpec::Restart { pod: pod() });
        let why = |request: Request, known, pause: Option<&Pause>| match request.check(known, pause, NOW) {
            Ok(()) => "yes".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        assert!(why(restart(), PodPresence::Never, None).starts_with("there is no pod t/a"));
        assert!(why(pause(None), PodPresence::Undeclared, None).starts_with("t/a is not declared any more"));
        assert!(why(restart(), PodPresence::Stopped, None).contains("state: stopped"));
        assert_eq!(why(restart(), PodPresence::Running, None), "yes");
        assert_eq!(
            why(pause(None), PodPresence::Running, Some(&standing)),
            "t/a is paused already, by bob@host until 2026-11-24 14:00:00 UTC; agentpod resume t/a ends that"
        );
        assert_eq!(why(ask(RequestSpec::Resume { pod: pod() }), PodPresence::Running, None), "t/a is not paused");
        assert_eq!(why(ask(RequestSpec::Resume { pod: pod() }), PodPresence::Undeclared, Some(&standing)), "yes");
        assert_eq!(why(pause(Some(NOW)), PodPresence::Running, None), "a pause must end in the future");
        for bad in ["", "0123456789a", "0123456789ab0", "0123456789az"] {
            assert!(
                why(ask(RequestSpec::Approve { plan: bad.into() }), PodPresence::Never, None).contains("not the hash"),
                "{bad}"
            );
        }
        assert_eq!(
            why(Request { actor: " ".into(), ..restart() }, PodPresence::Running, None),
            "who asks must be named"
        );
        for bad in ["eve\nroot@host", "\u{1b}[2Jeve"] {
            let told = why(Request { actor: bad.into(), ..restart() }, PodPresence::Running, None);
            assert!(told.contains("control character") && !told.contains("eve"), "{told}");
        }
    }

    #[test]
    fn a_pause_stands_until_its_time_or_until_somebody_resumes_it() {
        let open = |id, request: Request| OpenRequest { id, request, requested_at: NOW, expires_at: None };
        let (later, earlier) = (NOW + Duration::hours(1), NOW - Duration::hours(1));
        let standing = |all: &[OpenRequest]| pause_of(all, &pod(), NOW).map(|pause| pause.request);
        let resume = || ask(RequestSpec::Resume { pod: pod() });
        assert_eq!(standing(&[open(1, pause(Some(later)))]), Some(1));
        assert_eq!(standing(&[open(1, pause(Some(earlier)))]), None);
        assert_eq!(standing(&[open(1, pause(None)), open(2, resume())]), None);
        assert_eq!(standing(&[open(1, pause(None)), open(2, resume()), open(3, pause(None))]), Some(3));
        assert!(pause_of(&[open(1, pause(None))], &"t/b".parse().unwrap(), NOW).is_none());
    }
}
