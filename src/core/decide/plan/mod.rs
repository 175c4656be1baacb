//! The plan: what to do about every pod, and why, or why not. `decide` is the one place where anything is decided; the
//! executor follows without a choice of its own, and `agentpod plan` is a round that stops here.

mod context;
mod decide;
mod hosts;
mod infra;
mod progress;
mod removals;
mod requests;
mod running;
mod text;

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

pub use decide::plan;
pub use infra::{InfraState, Presence};
pub use progress::{ActionFailure, STABLE};
pub use removals::{HeldRemovals, RemovalLimit, TooManyRemovals};

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

/// What is remembered or measured beside wish and sight. All of it comes in as an argument.
#[derive(Debug, Clone)]
pub struct FleetState {
    /// The time of the round.
    pub now: OffsetDateTime,
    /// How long a removed pod's container is kept, stopped.
    pub removal_grace: Duration,
    /// How many pods may be removed at once.
    pub removals: RemovalLimit,
    /// The revision in force.
    pub revision: String,
    /// What people asked for, and nobody is done with yet; in the order in which they asked.
    pub requests: Vec<OpenRequest>,
    /// By pod; nothing is remembered of a pod that is not in here.
    pub pods: BTreeMap<PodId, PodState>,
    /// By item that belongs to no pod.
    pub infra: BTreeMap<InfraId, InfraState>,
}

/// What is remembered of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodState {
    /// Steps of an earlier plan are still under way.
    pub busy: bool,
    /// Its last action failed.
    pub retry: Option<Retry>,
    /// Its last action failed, and so did going back to the container before. Not kept: a restart tries again.
    pub going_back: Option<Retry>,
    /// A digest that failed while another container could go on in its place.
    pub rejected: Option<Rejected>,
    /// The hot files last uploaded, and into which container.
    pub uploaded: Option<Uploaded>,
    /// What its container's probe says.
    pub health: Option<Health>,
    /// Its container restarts too often; which.
    pub looping: Option<String>,
    /// Since when it is not declared any more.
    pub undeclared_since: Option<OffsetDateTime>,
    /// That it may be stopped and removed, now that it is not declared any more.
    pub removal_allowed: Option<Allowance>,
    /// The subdomain it was last declared with, as the store has it.
    pub subdomain: Option<Subdomain>,
    /// Somebody asked for it to be kept stopped.
    pub pause: Option<Pause>,
    /// The last restart that somebody asked for. Not kept: a restart of ours looks at the container.
    pub restart: Option<Restart>,
}

/// A restart that somebody asked for, once it was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The request.
    pub request: i64,
    /// Whether it was carried out.
    pub done: bool,
}

/// A removal that was within the limit, or approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Since when; the grace begins then.
    pub at: OffsetDateTime,
    /// The revision whose removals it counts among, as long as that one is in force.
    pub revision: Option<String>,
}

/// A digest that failed: never became ready, kept ending, or could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub digest: Digest,
    /// Why.
    pub why: String,
}

/// Hot files that were uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The container's name.
    pub container: String,
    /// The files' digest.
    pub digest: Digest,
}

/// What to do about every pod that is declared or was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// By item that belongs to no pod.
    pub infra: BTreeMap<InfraId, Decision>,
    /// By pod.
    pub pods: BTreeMap<PodId, Decision>,
    /// The removals that are held because they are too many at once.
    pub held_removals: Option<HeldRemovals>,
    /// The removals that may go on from now; to be remembered before the first step.
    pub allowed: BTreeMap<PodId, Allowance>,
    /// The requests that are over; to be remembered before the first step.
    pub ended: Vec<EndedRequest>,
}

/// What to do about one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is as it should be.
    Settled,
    /// These steps.
    Act(Action),
    /// Nothing now, for this reason.
    Hold(Hold),
}

/// Steps, in order, and why. A step that fails ends the action; the next round sees what is there then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Why.
    pub cause: Cause,
    /// What is to be remembered before the first step, so that a crash in between changes nothing.
    pub verdict: Option<Verdict>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One engine call. Each counts as done when things already are as it would make them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make sure the image is there, pulling it if not.
    Image(String),
    /// Make sure the network exists.
    Network(NetworkSpec),
    /// Make sure the volume exists and is ours.
    Volume(VolumeSpec),
    /// Make the container the pod needs.
    Create(String),
    /// Upload rendered files into a container.
    Upload(String, FileSet),
    /// Attach a container to a network.
    Attach(String, String),
    /// Start a container.
    Start(String),
    /// Stop a container; it may take so many seconds.
    Stop(String),
    /// Remove a stopped container and its own anonymous volumes; named volumes stay.
    Remove(String),
}

/// Which files to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSet {
    /// Every rendered file.
    All,
    /// Those that the agent re-reads by itself.
    Hot,
}

/// Why a pod is acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It should run and has no container.
    Missing,
    /// An item that belongs to no pod does not exist.
    ItemMissing,
    /// What it should be has changed.
    Changed {
        /// The digest it runs with.
        from: Digest,
        /// The digest it should run with.
        to: Digest,
        /// Which parts differ, as far as that is known.
        parts: Vec<Part>,
    },
    /// A file its agent re-reads by itself has changed.
    FilesChanged,
    /// Its container was made and never started.
    Unfinished,
    /// Its container ended.
    Exited(Exit),
    /// It waits for this pod's subdomain, which waits for its own in turn: it makes room first.
    MakesRoom(PodId),
    /// It should be stopped.
    StopWanted,
    /// It is not declared any more.
    Undeclared,
    /// It is not declared any more, and its removal was held until somebody approved it.
    RemovalApproved(String),
    /// Somebody asked for it.
    Requested {
        /// The ID of the request.
        request: i64,
        /// Who made it.
        actor: String,
        /// Its kind.
        what: RequestKind,
    },
    /// Somebody asked for it to be kept stopped.
    Paused(Pause),
    /// The pause that somebody asked for is over.
    PauseOver(String),
    /// A container of it from before a change is not needed any more.
    Superseded,
    /// Two of its containers run.
    Duplicate,
    /// Its container is off this network.
    OffNetwork(String),
    /// Its new container failed; the one before goes on.
    NotReady(String),
    /// Its new container was given up, and the one before runs.
    Rejected,
    /// Its new container could not be started; the one before goes on until the next try.
    GoingBack(String),
    /// Its container restarts too often.
    CrashLoop,
}

/// Why a pod that is not settled is left alone for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The engine could not be asked, or did not say what a container is doing.
    Unknown(String),
    /// Steps of an earlier plan are still under way.
    Busy,
    /// It failed and is tried again at a time.
    RetryAt(Retry),
    /// Its secrets cannot be read.
    SecretsMissing(Vec<String>),
    /// Its new container is not ready yet; the one before is kept until it is.
    AwaitingReady,
    /// What it should be was tried and failed; the container before it runs.
    RolledBack(Rejected),
    /// It was removed; its container is kept, stopped, until a time.
    RemovalGrace(OffsetDateTime),
    /// It was removed, with too many others at once.
    TooManyRemovals(TooManyRemovals),
    /// The pod whose subdomain it is to have still runs, although it is not declared any more.
    SubdomainTaken(PodId),
    /// Somebody asked for it to be kept stopped.
    Paused(Pause),
    /// Somebody froze its container by hand.
    PausedByHand,
    /// Its container carries our label, but it was never declared to the database we have.
    NeverDeclared,
}

/// What is to be remembered when an action begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This digest failed.
    Reject(Rejected),
    /// Its container restarts too often: try again later.
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
    /// That somebody asked for it.
    pub fn of(open: &OpenRequest) -> Self {
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
