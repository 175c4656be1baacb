//! The reconciler's state: everything one AgentPod knows while it runs. Owned by one task, so there are no locks; what
//! others may see is published as a [`DaemonStatus`].

use std::{collections::BTreeSet, sync::Arc};

use time::{Duration, OffsetDateTime};
use tokio::sync::{mpsc, watch};

use super::{
    DaemonRole, DaemonStatus, Inputs, PodView,
    act::{fenced::fenced, secrets_in_use::SecretsInUse, work::Work},
    ledger::Ledger,
    message::{ImageIds, Report, Trigger},
    observe::probe::Probers,
    report::{journal::Journal, metrics::Metrics, published::Published},
    requests::Requests,
    source_tracker::SourceTracker,
};
use crate::{
    core::{
        decide::plan::{Decision, MaxUnavailable, Plan, RemovalLimit},
        declare::desired::{Desired, DesiredPod},
        names::PodId,
        observe::{actual::Actual, last_seen::LastSeen},
        report::view::PlanLine,
        site::Site,
    },
    engine::Engine,
    postgres::EmbeddedPostgres,
    secrets::SecretReader,
    source::{AdapterFolders, Source},
    store::Store,
};

/// The longest time between two rounds, and between two reads of the source: what a missed trigger costs at most.
const TICK: std::time::Duration = std::time::Duration::from_secs(30);

/// What a reconciler needs.
pub struct Parts {
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// The database.
    pub store: Arc<Store>,
    /// The private database server, if there is one, to restart it when it dies.
    pub embedded: Option<Arc<EmbeddedPostgres>>,
    /// Where manifests come from.
    pub source: Source,
    /// The folders of adapters and templates.
    pub folders: AdapterFolders,
    /// What is the same for every pod.
    pub site: Site,
    /// How long a removed pod's stopped container is kept.
    pub removal_grace: Duration,
    /// How long no further pod may be removed from the manifests before removals are carried out.
    pub removal_settle: Duration,
    /// How many pods may be removed at once without approval.
    pub removals: RemovalLimit,
    /// How many pods may be unavailable at once because they are replaced.
    pub max_unavailable: MaxUnavailable,
    /// Reads the secrets' values.
    pub secrets: SecretReader,
}

/// The reconciler. Each part has its own state and methods; rounds only compose them.
pub struct Reconciler {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
    pub(super) settings: RoundSettings,
    pub(super) source: SourceTracker,
    pub(super) requests: Requests,
    pub(super) ledger: Ledger,
    pub(super) secrets: SecretsInUse,
    pub(super) work: Work,
    pub(super) probers: Probers,
    pub(super) published: Published,
    pub(super) journal: Journal,
    pub(super) metrics: Metrics,
    /// The images of the declared pods, as last looked for.
    pub(super) images: ImageIds,
    /// The desired state, as of the last round.
    pub(super) desired: Option<Arc<Desired>>,
    /// Whether the desired state is stored.
    pub(super) is_stored: bool,
    /// The actual state, as of the last round.
    pub(super) actual: Actual,
    /// Whether to look for what removed containers left behind.
    pub(super) is_tidying_due: bool,
    /// The containers that were there before.
    pub(super) last_seen: LastSeen,
    /// The plan of the last round.
    pub(super) plan: Plan,
    pub(super) began: OffsetDateTime,
    pub(super) rounds: u64,
    /// Whether the stored state was read.
    pub(super) is_loaded: bool,
    /// The outage of the database, while there is one.
    pub(super) database: Option<Outage>,
    /// What caused the next round.
    pub(super) triggers: BTreeSet<Trigger>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) inbox: mpsc::UnboundedReceiver<Report>,
}

/// The database cannot be used.
pub(super) struct Outage {
    pub(super) why: String,
    pub(super) since: OffsetDateTime,
}

/// What stays the same while it runs.
pub(super) struct RoundSettings {
    pub(crate) removal_grace: Duration,
    pub(crate) removal_settle: Duration,
    pub(crate) removals: RemovalLimit,
    pub(crate) max_unavailable: MaxUnavailable,
    /// The longest time between two rounds.
    pub(crate) tick: std::time::Duration,
}

impl Reconciler {
    /// A reconciler that has done nothing yet, and the receiver of its status.
    pub fn new(parts: Parts) -> (Self, watch::Receiver<DaemonStatus>) {
        let Parts { engine, store, embedded, source, folders, site, secrets, .. } = parts;
        let Parts { removal_grace, removal_settle, removals, max_unavailable, .. } = parts;
        let metrics = Metrics::default();
        let (reports, inbox) = mpsc::unbounded_channel();
        let (published, status) = Published::new();
        let engine = fenced(engine, &store);
        let mut inputs = Inputs::new(source, folders, site);
        inputs.report_to(reports.clone());
        let reconciler = Self {
            work: Work::new(engine.clone()),
            engine,
            journal: Journal::new(store.clone(), metrics.clone()),
            store,
            embedded,
            settings: RoundSettings { removal_grace, removal_settle, removals, max_unavailable, tick: TICK },
            source: SourceTracker::new(inputs),
            requests: Requests::default(),
            ledger: Ledger::default(),
            secrets: SecretsInUse::new(secrets),
            probers: Probers::default(),
            published,
            metrics,
            images: ImageIds::new(),
            desired: None,
            is_stored: false,
            actual: Actual::Unknown("it has not been observed yet".into()),
            is_tidying_due: true,
            last_seen: LastSeen::default(),
            plan: Plan::default(),
            began: crate::clock::now(),
            rounds: 0,
            is_loaded: false,
            database: None,
            triggers: BTreeSet::from([Trigger::Start]),
            reports,
            inbox,
        };
        (reconciler, status)
    }

    /// Sets another longest time between two rounds, for tests, and as long for containers that the engine does not list.
    #[must_use]
    pub fn with_tick(mut self, tick: std::time::Duration) -> Self {
        self.settings.tick = tick;
        self.last_seen.settle_after(Duration::try_from(tick).unwrap_or(Duration::MAX));
        self
    }

    /// Notes in a file what is judged, so that the next start knows what ended this process.
    pub(crate) fn note_judging_in(&mut self, path: std::path::PathBuf) {
        self.source.note_judging_in(path);
    }

    /// Sets another interval in which the source should be read, for tests.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.source.set_interval(interval);
        self
    }

    /// A pod's desired state, if it is declared.
    pub(super) fn desired_pod(&self, id: &PodId) -> Option<&DesiredPod> {
        self.desired.as_ref()?.pods.get(id)
    }

    /// Publishes the daemon's status.
    pub(super) fn publish(&self) {
        let pods = self.published.statuses.all().iter().map(|(id, status)| {
            let desired = self.desired_pod(id);
            let work = self.work.of(id);
            let view = PodView {
                status: status.clone(),
                last_health_at: self.ledger.last_success(id),
                conditions: self.published.conditions.of(id),
                url: desired.map(|pod| pod.url.clone()),
                adapter: desired.map(|pod| pod.declared.adapter.metadata.name.to_string()),
                doing: work.map(|work| work.step.to_string()),
                pull: work.and_then(|work| work.pull.clone()),
                settled: matches!(self.plan.pods.get(id), Some(Decision::Settled)),
            };
            (id.to_string(), view)
        });
        self.published.publish(DaemonStatus {
            role: DaemonRole::Active,
            role_since: Some(self.began),
            instance: self.source.site().instance.to_string(),
            rounds: self.rounds,
            last_round: Some(crate::clock::now()),
            source: self.source.view(),
            engine: match &self.actual {
                Actual::Unknown(why) => Some(why.clone()),
                Actual::Observed(_) => None,
            },
            database: self.database.as_ref().map(|outage| outage.why.clone()),
            held_removals: self.plan.held_removals.clone(),
            infra: (self.plan.infra.iter())
                .filter_map(|(id, decision)| Some((id.to_string(), PlanLine::of(decision)?)))
                .collect(),
            busy: self.ledger.busy().cloned().collect(),
            pods: pods.collect(),
            metrics: self.metrics.clone(),
        });
    }
}
