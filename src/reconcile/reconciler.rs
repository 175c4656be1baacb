//! The reconciler's state: everything one AgentPod knows while it runs. Owned by one task, so there are no locks; what
//! others may see of it is published as a [`DaemonStatus`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use time::{Duration, OffsetDateTime};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};

use super::{
    DaemonRole, DaemonStatus, Inputs, PodView, RefusedRevision, SourceView,
    act::secrets_in_use::SecretsInUse,
    observe::{probe::Prober, watchdog::Watchdog},
    report::{alerts::Alerts, conditions::Conditions, journal::Journal, metrics::Metrics, plan_log::PlanLog},
};
use crate::{
    core::{
        decide::{
            plan::{Plan, PodState, RemovalLimit, Step},
            request::OpenRequest,
        },
        declare::desired::{Desired, PodIdentity},
        names::PodId,
        observe::{actual::Actual, crash::CrashWatch},
        report::status::Status,
        secret::SecretRef,
        site::Site,
    },
    engine::{Engine, NetworkSpec, PullProgress},
    postgres::EmbeddedPostgres,
    reconcile::message::Report,
    secrets::{self, Reader},
    source::{AdapterFolders, Source},
    store::{IdentitiesStamp, Store},
};

/// Steps of different pods carried out side by side; more only adds latency on one engine.
const SIDE_BY_SIDE: usize = 8;
/// The longest time between two rounds, and between two looks at the source; what a missed trigger costs at most.
const TICK: std::time::Duration = std::time::Duration::from_secs(30);

/// What a reconciler is made of.
pub struct Parts {
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// The database.
    pub store: Arc<Store>,
    /// The private server behind it, to be started again when it dies.
    pub embedded: Option<Arc<EmbeddedPostgres>>,
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
    /// How many pods may be removed at once.
    pub removals: RemovalLimit,
    /// What reads the secrets' values.
    pub secrets: Reader,
}

/// The reconciler.
pub struct Reconciler {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
    pub(super) inputs: Inputs,
    pub(super) network: NetworkSpec,
    pub(super) removal_grace: Duration,
    pub(super) removals: RemovalLimit,
    /// What people asked for, and nobody is done with yet.
    pub(super) requests: Vec<OpenRequest>,
    /// Wishes for a look at the source that wait for a fetch.
    pub(super) fetching: BTreeSet<i64>,
    /// Whether the store took the last allowances is not known.
    pub(super) unsure: bool,
    pub(super) journal: Journal,
    /// What is remembered of each pod; the store has what must outlive us.
    pub(super) states: BTreeMap<PodId, PodState>,
    /// Volumes and token versions.
    pub(super) identities: BTreeMap<PodId, PodIdentity>,
    /// When those were read, as the store tells time.
    pub(super) identities_stamp: Option<IdentitiesStamp>,
    pub(super) loaded: bool,
    pub(super) crashes: BTreeMap<PodId, CrashWatch>,
    pub(super) probers: BTreeMap<PodId, Prober>,
    pub(super) doing: BTreeMap<PodId, WorkInProgress>,
    /// Containers that ran before we looked first: that they are ready is no news.
    pub(super) adopted: BTreeSet<String>,
    /// Containers our own steps stopped or removed lately: what the engine says of these is no news.
    pub(super) touched: BTreeMap<String, OffsetDateTime>,
    /// Which secret values which container holds.
    pub(super) secrets_in_use: SecretsInUse,
    /// How long it took pods to become ready, until that is told.
    pub(super) became_ready: BTreeMap<PodId, String>,
    pub(super) statuses: BTreeMap<PodId, Status>,
    pub(super) conditions: Conditions,
    pub(super) plan_log: PlanLog,
    pub(super) reader: Reader,
    pub(super) secrets: BTreeMap<SecretRef, secrets::Value>,
    pub(super) desired: Option<Arc<Desired>>,
    pub(super) actual: Actual,
    pub(super) plan: Plan,
    pub(super) refused: Option<RefusedRevision>,
    /// What was told last and is no row of revisions.
    pub(super) alerts: Alerts,
    /// What woke us since the last round.
    pub(super) woken: BTreeSet<&'static str>,
    /// The source has to be read in the next round.
    pub(super) source_due: bool,
    /// When it was read last.
    pub(super) source_read: Instant,
    /// The longest time between two looks.
    pub(super) tick: std::time::Duration,
    /// The desired state has not been written to the store yet.
    pub(super) sync_due: bool,
    pub(super) revision_row: Option<i64>,
    /// When that row was accepted.
    pub(super) accepted_at: Option<OffsetDateTime>,
    pub(super) watchdog: Watchdog,
    pub(super) metrics: Metrics,
    /// Pods that stand as declared, and whose row says of which revision.
    pub(super) settled: BTreeSet<PodId>,
    /// Everything was as declared in the last round.
    pub(super) applied: bool,
    pub(super) began: OffsetDateTime,
    pub(super) rounds: u64,
    pub(super) database: Option<String>,
    pub(super) side_by_side: Arc<Semaphore>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) inbox: mpsc::UnboundedReceiver<Report>,
    pub(super) overview: watch::Sender<DaemonStatus>,
}

/// What is being done for a pod right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkInProgress {
    /// The step.
    pub step: Step,
    /// How far its pull has come, during one.
    pub pull: Option<PullProgress>,
}

impl Reconciler {
    /// A reconciler that has not looked at anything yet, and the place to see what it sees.
    pub fn new(parts: Parts) -> (Self, watch::Receiver<DaemonStatus>) {
        let Parts { engine, store, embedded, source, folders, site, network, removal_grace, removals, secrets } = parts;
        let metrics = Metrics::default();
        let (reports, inbox) = mpsc::unbounded_channel();
        let (overview, view) = watch::channel(DaemonStatus::default());
        let reconciler = Self {
            engine,
            journal: Journal::new(store.clone(), metrics.clone()),
            store,
            embedded,
            inputs: Inputs::new(source, folders, site),
            network,
            removal_grace,
            removals,
            requests: Vec::new(),
            fetching: BTreeSet::new(),
            unsure: false,
            states: BTreeMap::new(),
            identities: BTreeMap::new(),
            identities_stamp: None,
            loaded: false,
            crashes: BTreeMap::new(),
            probers: BTreeMap::new(),
            doing: BTreeMap::new(),
            adopted: BTreeSet::new(),
            touched: BTreeMap::new(),
            secrets_in_use: SecretsInUse::default(),
            became_ready: BTreeMap::new(),
            statuses: BTreeMap::new(),
            conditions: Conditions::default(),
            plan_log: None,
            reader: secrets,
            secrets: BTreeMap::new(),
            desired: None,
            actual: Actual::Unknown("it was not looked at yet".into()),
            plan: Plan::default(),
            refused: None,
            woken: BTreeSet::from(["the start"]),
            source_due: true,
            source_read: crate::clock::runtime_instant(),
            tick: TICK,
            sync_due: true,
            revision_row: None,
            accepted_at: None,
            watchdog: Watchdog::default(),
            alerts: Alerts::default(),
            metrics,
            settled: BTreeSet::new(),
            applied: false,
            began: crate::clock::now(),
            rounds: 0,
            database: None,
            side_by_side: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
            reports,
            inbox,
            overview,
        };
        (reconciler, view)
    }

    /// The same with another longest time between two looks, for tests.
    #[must_use]
    pub fn with_tick(mut self, tick: std::time::Duration) -> Self {
        self.tick = tick;
        self
    }

    /// The same with another time in which the source should be read, for tests.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.watchdog.interval = Some(interval);
        self
    }

    /// Publishes what others may see.
    pub(super) fn publish(&self) {
        let pods = self.statuses.iter().map(|(id, status)| {
            let desired_pod = self.desired.as_ref().and_then(|desired| desired.pods.get(id));
            let doing = self.doing.get(id);
            let view = PodView {
                status: status.clone(),
                last_health_at: self.states.get(id).and_then(|state| state.health.as_ref()?.last_success),
                conditions: self.conditions.now.get(id).cloned().unwrap_or_default(),
                url: desired_pod.map(|desired_pod| desired_pod.url.clone()),
                adapter: desired_pod.map(|desired_pod| desired_pod.declared.adapter.metadata.name.to_string()),
                doing: doing.map(|doing| doing.step.to_string()),
                pull: doing.and_then(|doing| doing.pull.clone()),
                settled: matches!(self.plan.pods.get(id), Some(crate::core::decide::plan::Decision::Settled)),
            };
            (id.to_string(), view)
        });
        let refused = self.refused.as_ref().and_then(|refused| refused.reading.as_ref());
        let refused = refused.map(|reading| &reading.snapshot);
        let health = self.inputs.health();
        self.overview.send_replace(DaemonStatus {
            role: DaemonRole::Active,
            role_since: Some(self.began),
            instance: self.inputs.site().instance.to_string(),
            rounds: self.rounds,
            last_round: Some(crate::clock::now()),
            source: SourceView {
                origin: self.inputs.origin(),
                accepted: self.inputs.revision().map(str::to_owned),
                accepted_at: self.accepted_at,
                commit: self.inputs.snapshot().and_then(|snapshot| snapshot.commit.clone()),
                applied: self.applied,
                refused: refused.map(|snapshot| snapshot.revision.clone()),
                refused_commit: refused.and_then(|snapshot| snapshot.commit.clone()),
                read_at: self.watchdog.read_at(&health),
                stale_since: self.watchdog.stale_since,
                tried_at: health.last_tried,
                fetched: health.fetched,
                unread: health.last_error,
                problems: self.refused.as_ref().map(|refused| refused.problems.clone()).unwrap_or_default(),
            },
            engine: match &self.actual {
                Actual::Unknown(why) => Some(why.clone()),
                Actual::Observed(_) => None,
            },
            database: self.database.clone(),
            held_removals: self.plan.held_removals.clone(),
            busy: self.states.iter().filter(|(_, pod)| pod.busy).map(|(id, _)| id.clone()).collect(),
            pods: pods.collect(),
            metrics: self.metrics.clone(),
        });
    }
}
