//! The plan: what to do about every pod and every item that belongs to none, and why. Everything is decided in here; the
//! reconciler executes plans without a choice of its own, and `agentpod plan` is a round that stops here.

mod action;
mod context;
mod decide;
mod hosts;
mod infra;
mod progress;
mod removals;
mod requests;
mod running;
mod stagger;
mod text;

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

pub use decide::plan;
pub use infra::{InfraState, Presence};
pub use progress::{ActionFailure, Fault, STABLE};
pub use removals::{HeldRemovals, REMOVAL_SETTLE, RemovalLimit, TooManyRemovals};
pub use stagger::MaxUnavailable;

use super::{
    request::{EndedRequest, OpenRequest, Pause},
    request_kind::RequestKind,
    retry::Retry,
};
use crate::core::{
    declare::{
        infra::{InfraId, NetworkSpec, VolumeSpec},
        parts::Part,
    },
    digest::Digest,
    names::{PodId, Subdomain},
    observe::{actual::Exit, health::Health},
};

/// What the planner knows besides the desired and the actual state. All of it is an argument.
#[derive(Debug, Clone)]
pub struct FleetState {
    /// The time of the round.
    pub now: OffsetDateTime,
    /// How long a removed pod's container is kept, stopped.
    pub removal_grace: Duration,
    /// How long no further pod may be removed from the manifests before removals are carried out: files that vanish one by
    /// one, or a file that is being written, are counted as a whole.
    pub removal_settle: Duration,
    /// How many pods may be removed at once.
    pub removals: RemovalLimit,
    /// How many pods may be unavailable at once because they are replaced.
    pub max_unavailable: MaxUnavailable,
    /// The revision in force.
    pub revision: String,
    /// Open requests, oldest first.
    pub requests: Vec<OpenRequest>,
    /// By pod; a pod that is missing has the default state.
    pub pods: BTreeMap<PodId, PodState>,
    /// By item that belongs to no pod.
    pub infra: BTreeMap<InfraId, InfraState>,
}

/// What is kept about one pod between rounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodState {
    /// Steps of an earlier plan are still running.
    pub busy: bool,
    /// These steps interrupt it because its declaration changed.
    pub is_replaced: bool,
    /// The steps that succeeded last. Not stored.
    pub repeated: Option<Repeated>,
    /// Its last action failed.
    pub retry: Option<Retry>,
    /// Its last action failed, and so did starting the previous container. Not stored: a restarted daemon tries again.
    pub fallback_retry: Option<Retry>,
    /// It was restarted because it did not answer; when that may happen again. Not stored.
    pub liveness_retry: Option<Retry>,
    /// Its dead containers could not be removed. Not stored, and delays nothing else.
    pub cleanup_retry: Option<Retry>,
    /// A digest that failed while the pod had a previous container to run.
    pub rejected: Option<Rejected>,
    /// The hot files last uploaded, and into which container.
    pub uploaded: Option<Uploaded>,
    /// Since when it has data in its volume; `None`: it never had any.
    pub volume_since: Option<OffsetDateTime>,
    /// Whether that volume exists, as of this round; looked up only when it matters.
    pub volume: Presence,
    /// What its container's probe last reported.
    pub health: Option<Health>,
    /// The name of its container, if that restarts too often.
    pub looping: Option<String>,
    /// When it was removed from the manifests; `None` while it is declared.
    pub undeclared_since: Option<OffsetDateTime>,
    /// Permission to stop and remove it, now that it is no longer declared.
    pub removal_allowed: Option<Allowance>,
    /// The subdomain it was last declared with.
    pub subdomain: Option<Subdomain>,
    /// Somebody paused it.
    pub pause: Option<Pause>,
    /// The last requested restart. Not stored: a restarted daemon goes by the container's start time.
    pub restart: Option<Restart>,
}

/// Steps that succeeded, possibly several times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    steps: Vec<Step>,
    count: u32,
    at: OffsetDateTime,
}

/// A requested restart that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The request.
    pub(crate) request: i64,
    /// Whether it was carried out.
    pub(crate) done: bool,
}

/// A removal that was within the limit, or approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// When it was allowed; the grace period begins then.
    pub at: OffsetDateTime,
    /// The revision among whose removals it counts, while that revision is in force.
    pub revision: Option<String>,
}

/// A digest that failed: its container never became ready, kept exiting, or could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub digest: Digest,
    /// Why.
    pub why: String,
}

/// Hot files that were uploaded into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The container's name.
    pub container: String,
    /// The files' digest.
    pub digest: Digest,
}

/// What to do about every pod that is declared or has containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// By item that belongs to no pod.
    pub infra: BTreeMap<InfraId, Decision>,
    /// By pod.
    pub pods: BTreeMap<PodId, Decision>,
    /// The removals that are held because they are too many at once.
    pub held_removals: Option<HeldRemovals>,
    /// The removals allowed by this plan; stored before the first step.
    pub allowed: BTreeMap<PodId, Allowance>,
    /// The requests that this plan ends; stored before the first step.
    pub ended: Vec<EndedRequest>,
}

/// What to do about one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is as declared.
    Settled,
    /// These steps.
    Act(Action),
    /// Nothing now, for this reason.
    Hold(Hold),
}

/// Steps, in order, and why. A step that fails ends the action; the next round plans from what it then observes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Why.
    pub cause: Cause,
    /// What is stored before the first step, so that a crash in between changes nothing.
    pub verdict: Option<Verdict>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One engine call. Each is idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Pull the image unless the engine has it.
    Image(String),
    /// Create the network unless it exists.
    Network(NetworkSpec),
    /// Create the volume unless it exists; fail if it belongs to somebody else.
    Volume(VolumeSpec),
    /// Create the pod's desired container.
    Create(String),
    /// Upload rendered files into a container.
    Upload(String, FileSet),
    /// Attach a container to a network.
    Attach(String, String),
    /// Start a container.
    Start(String),
    /// Stop a container, waiting for its stop timeout at most.
    Stop(String),
    /// Remove a stopped container and its anonymous volumes; named volumes are kept.
    Remove(String),
}

/// Which files to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSet {
    /// Every rendered file.
    All,
    /// Only those that the agent reloads by itself.
    Hot,
}

/// Why a pod is acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It should run and has no container.
    Missing,
    /// An item that belongs to no pod does not exist.
    ItemMissing,
    /// Its declaration changed.
    Changed {
        /// The digest it runs with.
        from: Digest,
        /// The digest it should run with.
        to: Digest,
        /// The parts that differ; empty if unknown.
        parts: Vec<Part>,
    },
    /// A file that its agent reloads by itself changed.
    FilesChanged,
    /// Its container was created and never started.
    Unfinished,
    /// Its container exited.
    Exited(Exit),
    /// It and this pod swap subdomains, and it gives up its own first.
    YieldsSubdomain(PodId),
    /// It is declared stopped.
    DeclaredStopped,
    /// It is no longer declared.
    Undeclared,
    /// It is no longer declared, and this person approved its removal.
    RemovalApproved(String),
    /// A request asks for it.
    Requested {
        /// The ID of the request.
        request: i64,
        /// Who made it.
        actor: String,
        /// Its kind.
        what: RequestKind,
    },
    /// Somebody paused it.
    Paused(Pause),
    /// The pause that this person requested is over.
    PauseOver(String),
    /// Its new container is ready, so the previous one goes.
    Superseded,
    /// More than one of its containers runs.
    Duplicate,
    /// Its container is not attached to this network.
    OffNetwork(String),
    /// Its new container failed; the previous one is started again.
    NotReady(String),
    /// Its new container failed and goes; the previous one runs.
    Rejected,
    /// Its new container could not be started; the previous one runs until the next attempt.
    Fallback(String),
    /// Its container restarts too often.
    CrashLoop,
    /// A container of it is dead: it can never run again.
    Dead,
    /// Its container runs and has not answered its probe so many times in a row, the last time for this reason.
    Unresponsive {
        /// How often.
        failures: u32,
        /// The last failure.
        last: String,
    },
}

/// Why nothing is done for now about a pod that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The engine does not answer, or does not report the state of a container.
    Unknown(String),
    /// Steps of an earlier plan are still running.
    Busy,
    /// Its last action failed and is tried again later.
    RetryAt(Retry),
    /// Its secrets cannot be read.
    SecretsMissing(Vec<String>),
    /// Its data volume is gone.
    VolumeGone {
        /// The volume's name.
        volume: String,
        /// Since when it had data.
        since: OffsetDateTime,
    },
    /// Its new container is not ready yet; the previous one is kept until it is.
    AwaitingReady,
    /// Its new container failed; the previous one runs.
    RolledBack(Rejected),
    /// It was removed; its stopped container is kept until then.
    RemovalGrace(OffsetDateTime),
    /// It was removed from the manifests a moment ago, or others were; if nothing changes, it is stopped then.
    RemovalSettles(OffsetDateTime),
    /// It was removed together with too many others.
    TooManyRemovals(TooManyRemovals),
    /// This pod still runs at its subdomain.
    SubdomainTaken(PodId),
    /// Its new container is not ready yet, and the data may be migrated: it does not go back to the previous image.
    Migrating,
    /// As many pods as may be are being replaced already.
    Staggered {
        /// How many.
        limit: usize,
    },
    /// The same steps succeeded again and again and changed nothing.
    Repeating {
        /// How often, in a row.
        count: u32,
        /// When they are taken again.
        until: OffsetDateTime,
    },
    /// Somebody paused it.
    Paused(Pause),
    /// Somebody paused its container outside AgentPod.
    PausedByHand,
    /// Its container carries our label, but this database has never had it.
    NeverDeclared,
}

/// What an action that begins says about its pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This digest failed.
    Reject(Rejected),
    /// Its container restarts too often; it is tried again later.
    CrashLoop(String),
}

impl Decision {
    /// The action, if it is one.
    pub fn action(&self) -> Option<&Action> {
        match self {
            Self::Act(action) => Some(action),
            Self::Settled | Self::Hold(_) => None,
        }
    }
}

impl Cause {
    /// The cause of what a request asks for.
    pub(crate) fn of(open: &OpenRequest) -> Self {
        let OpenRequest { id, request, .. } = open;
        Self::Requested { request: *id, actor: request.actor.clone(), what: request.what.kind() }
    }
}

impl Plan {
    /// The pods that are acted on.
    pub fn actions(&self) -> impl Iterator<Item = (&PodId, &Action)> {
        self.pods.iter().filter_map(|(id, decision)| Some((id, decision.action()?)))
    }

    /// The items that are acted on.
    pub fn infra_actions(&self) -> impl Iterator<Item = (&InfraId, &Action)> {
        self.infra.iter().filter_map(|(id, decision)| Some((id, decision.action()?)))
    }

    /// Whether nothing is done.
    pub fn is_quiet(&self) -> bool {
        self.actions().next().is_none() && self.infra_actions().next().is_none()
    }
}
