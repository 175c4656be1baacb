//! The reconciler's state: everything one AgentPod knows while it runs. Owned by one task, so there are no locks; what
//! others may see of it is published as an [`Overview`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use secrecy::SecretString;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Inputs, Refused, journal::Journal, probe::Prober, triggers::Report};
use crate::{
    core::{
        actual::Actual,
        crash::CrashWatch,
        desired::{Desired, KnownPod},
        names::PodId,
        plan::{Plan, PodCircumstances, Step},
        problem::Problem,
        secret::SecretRef,
        site::Site,
        status::Status,
    },
    engine::{Engine, NetworkSpec},
    source::{AdapterFolders, Source},
    store::{Store, embedded::Embedded},
};

/// Steps of different pods carried out side by side; more only adds latency on one engine.
const SIDE_BY_SIDE: usize = 8;

/// What a reconciler is made of.
pub struct Parts {
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// The database.
    pub store: Arc<Store>,
    /// The private server behind it, to be started again when it dies.
    pub embedded: Option<Arc<Embedded>>,
    /// Where manifests come from.
    pub source: Source,
    /// Where adapters and templates are.
    pub folders: AdapterFolders,
    /// What is the same for every pod.
    pub site: Site,
    /// The network pods share.
    pub network: NetworkSpec,
    /// How long a removed pod's container is kept, stopped.
    pub removal_grace: Duration,
}

/// The reconciler.
pub struct Reconciler {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) embedded: Option<Arc<Embedded>>,
    pub(super) inputs: Inputs,
    pub(super) network: NetworkSpec,
    pub(super) removal_grace: Duration,
    pub(super) journal: Journal,
    /// What is remembered of each pod; the store has what must outlive us.
    pub(super) remembered: BTreeMap<PodId, PodCircumstances>,
    /// Volumes and token versions.
    pub(super) known: BTreeMap<PodId, KnownPod>,
    pub(super) loaded: bool,
    pub(super) crashes: BTreeMap<PodId, CrashWatch>,
    pub(super) probers: BTreeMap<PodId, Prober>,
    pub(super) doing: BTreeMap<PodId, Doing>,
    /// Containers that ran before we looked first: that they are ready is no news.
    pub(super) adopted: BTreeSet<String>,
    /// Containers our own steps stopped or removed lately: what the engine says of these is no news.
    pub(super) touched: BTreeMap<String, OffsetDateTime>,
    pub(super) statuses: BTreeMap<PodId, Status>,
    pub(super) secrets: BTreeMap<SecretRef, Result<SecretString, String>>,
    pub(super) desired: Option<Arc<Desired>>,
    pub(super) actual: Actual,
    pub(super) plan: Plan,
    pub(super) refused: Option<Refused>,
    /// The source has to be read in the next round.
    pub(super) source_due: bool,
    /// The desired state has not been written to the store yet.
    pub(super) sync_due: bool,
    pub(super) revision_row: Option<i64>,
    /// Everything was as declared in the last round.
    pub(super) applied: bool,
    pub(super) rounds: u64,
    pub(super) database: Option<String>,
    pub(super) side_by_side: Arc<Semaphore>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) inbox: mpsc::UnboundedReceiver<Report>,
    pub(super) overview: watch::Sender<Overview>,
}

/// What is being done for a pod right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// The step.
    pub step: Step,
    /// Bytes received and in all, during a pull.
    pub pull: Option<(u64, u64)>,
}

/// What others may see of the reconciler, as of its last round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Overview {
    /// How many rounds were made.
    pub rounds: u64,
    /// When the last one ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_round: Option<OffsetDateTime>,
    /// Where manifests come from, and what became of the newest revision.
    pub source: SourceView,
    /// Why the engine cannot be used, if it cannot.
    pub engine: Option<String>,
    /// Why the database cannot be used, if it cannot.
    pub database: Option<String>,
    /// The pods by `tenant/pod`.
    pub pods: BTreeMap<String, PodView>,
}

/// What became of the newest revision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceView {
    /// Where manifests come from.
    pub origin: String,
    /// The revision in force.
    pub accepted: Option<String>,
    /// Whether everything is as it says.
    pub applied: bool,
    /// What is wrong with the newest revision, if it was refused.
    pub problems: Vec<Problem>,
}

/// What others may see of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodView {
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
    /// Where it answers.
    pub url: Option<String>,
    /// The kind of agent.
    pub adapter: Option<String>,
    /// What is being done for it right now.
    pub doing: Option<String>,
    /// Bytes received and in all, during a pull.
    pub pull: Option<(u64, u64)>,
    /// Whether nothing is left to do or to wait for.
    pub settled: bool,
}

impl Reconciler {
    /// A reconciler that has not looked at anything yet, and the place to see what it sees.
    pub fn new(parts: Parts) -> (Self, watch::Receiver<Overview>) {
        let Parts { engine, store, embedded, source, folders, site, network, removal_grace } = parts;
        let (reports, inbox) = mpsc::unbounded_channel();
        let (overview, view) = watch::channel(Overview::default());
        let reconciler = Self {
            engine,
            journal: Journal::new(store.clone()),
            store,
            embedded,
            inputs: Inputs::new(source, folders, site),
            network,
            removal_grace,
            remembered: BTreeMap::new(),
            known: BTreeMap::new(),
            loaded: false,
            crashes: BTreeMap::new(),
            probers: BTreeMap::new(),
            doing: BTreeMap::new(),
            adopted: BTreeSet::new(),
            touched: BTreeMap::new(),
            statuses: BTreeMap::new(),
            secrets: BTreeMap::new(),
            desired: None,
            actual: Actual::Unknown("it was not looked at yet".into()),
            plan: Plan { pods: BTreeMap::new() },
            refused: None,
            source_due: true,
            sync_due: true,
            revision_row: None,
            applied: false,
            rounds: 0,
            database: None,
            side_by_side: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
            reports,
            inbox,
            overview,
        };
        (reconciler, view)
    }

    /// Publishes what others may see.
    pub(super) fn publish(&self) {
        let pods = self.statuses.iter().map(|(id, status)| {
            let wish = self.desired.as_ref().and_then(|desired| desired.pods.get(id));
            let doing = self.doing.get(id);
            let view = PodView {
                status: status.clone(),
                url: wish.map(|wish| wish.url.clone()),
                adapter: wish.map(|wish| wish.declared.adapter.metadata.name.to_string()),
                doing: doing.map(|doing| doing.step.to_string()),
                pull: doing.and_then(|doing| doing.pull),
                settled: matches!(self.plan.pods.get(id), Some(crate::core::plan::Decision::Settled)),
            };
            (id.to_string(), view)
        });
        self.overview.send_replace(Overview {
            rounds: self.rounds,
            last_round: Some(OffsetDateTime::now_utc()),
            source: SourceView {
                origin: self.inputs.origin(),
                accepted: self.inputs.revision().map(str::to_owned),
                applied: self.applied,
                problems: self.refused.as_ref().map(|refused| refused.problems.clone()).unwrap_or_default(),
            },
            engine: match &self.actual {
                Actual::Unknown(why) => Some(why.clone()),
                Actual::Seen(_) => None,
            },
            database: self.database.clone(),
            pods: pods.collect(),
        });
    }
}
