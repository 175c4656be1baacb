//! The reconciler's state: everything one AgentPod knows while it runs. Owned by one task, so there are no locks; what
//! others may see of it is published as an [`Overview`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use time::{Duration, OffsetDateTime};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};

use super::{
    Inputs, Refused, conditions::Conditions, handed::Handed, journal::Journal, probe::Prober, shown::Shown,
    tally::Tally, told::Told, triggers::Report, watchdog::Watchdog,
};
use crate::{
    core::{
        actual::Actual,
        commit::Commit,
        condition::Condition,
        crash::CrashWatch,
        desired::{Desired, KnownPod},
        names::PodId,
        plan::{HeldRemovals, Plan, PodCircumstances, RemovalLimit, Step},
        problem::Problem,
        request::Open,
        secret::SecretRef,
        site::Site,
        status::Status,
    },
    engine::{Engine, NetworkSpec},
    secrets::{self, Reader},
    source::{AdapterFolders, Source},
    store::{Store, embedded::Embedded},
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
    /// How many pods may be removed at once.
    pub removals: RemovalLimit,
    /// What reads the secrets' values.
    pub secrets: Reader,
}

/// The reconciler.
pub struct Reconciler {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) embedded: Option<Arc<Embedded>>,
    pub(super) inputs: Inputs,
    pub(super) network: NetworkSpec,
    pub(super) removal_grace: Duration,
    pub(super) removals: RemovalLimit,
    /// What people asked for, and nobody is done with yet.
    pub(super) requests: Vec<Open>,
    /// Wishes for a look at the source that wait for a fetch.
    pub(super) fetching: BTreeSet<i64>,
    /// Whether the store took the last allowances is not known.
    pub(super) unsure: bool,
    pub(super) journal: Journal,
    /// What is remembered of each pod; the store has what must outlive us.
    pub(super) remembered: BTreeMap<PodId, PodCircumstances>,
    /// Volumes and token versions.
    pub(super) known: BTreeMap<PodId, KnownPod>,
    /// When those were read, as the store tells time.
    pub(super) known_stamp: Option<(i64, i64)>,
    pub(super) loaded: bool,
    pub(super) crashes: BTreeMap<PodId, CrashWatch>,
    pub(super) probers: BTreeMap<PodId, Prober>,
    pub(super) doing: BTreeMap<PodId, Doing>,
    /// Containers that ran before we looked first: that they are ready is no news.
    pub(super) adopted: BTreeSet<String>,
    /// Containers our own steps stopped or removed lately: what the engine says of these is no news.
    pub(super) touched: BTreeMap<String, OffsetDateTime>,
    /// Which secret values which container holds.
    pub(super) handed: Handed,
    /// How long it took pods to become ready, until that is told.
    pub(super) became_ready: BTreeMap<PodId, String>,
    pub(super) statuses: BTreeMap<PodId, Status>,
    pub(super) conditions: Conditions,
    pub(super) shown: Shown,
    pub(super) reader: Reader,
    pub(super) secrets: BTreeMap<SecretRef, secrets::Value>,
    pub(super) desired: Option<Arc<Desired>>,
    pub(super) actual: Actual,
    pub(super) plan: Plan,
    pub(super) refused: Option<Refused>,
    /// What was told last and is no row of revisions.
    pub(super) told: Told,
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
    pub(super) tally: Tally,
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
    /// Whether this AgentPod acts, or stands by while another one does.
    pub role: Role,
    /// Since when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub role_since: Option<OffsetDateTime>,
    /// Whose overview this is; empty while another AgentPod leads.
    pub instance: String,
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
    /// The removals that are held because they are too many at once, and the hash to approve them by.
    pub held_removals: Option<HeldRemovals>,
    /// The pods that steps are under way for, declared or not.
    pub busy: Vec<PodId>,
    /// The pods by `tenant/pod`.
    pub pods: BTreeMap<String, PodView>,
    /// What was counted since this AgentPod acts.
    #[serde(skip)]
    pub tally: Tally,
}

/// Which of the AgentPods on one database this is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Another one acts, or may; this one takes over when it can.
    #[default]
    Standby,
    /// It makes rounds.
    Active,
}

impl Overview {
    /// Everything that keeps it from doing what it is there for; nothing means ready. What stands by is ready as long as
    /// it can ask whether to take over.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.database.iter().cloned().collect();
        if self.role == Role::Standby {
            return reasons;
        }
        if self.rounds == 0 && reasons.is_empty() {
            return vec!["no round was made yet".into()];
        }
        reasons.extend(self.engine.clone());
        if self.source.accepted.is_none() {
            let first = self.source.problems.first().map(|problem| format!(": {}: {}", problem.file, problem.what));
            reasons.push(format!("no revision is in force{}", first.unwrap_or_default()));
        }
        reasons
    }
}

/// What became of the newest revision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceView {
    /// Where manifests come from.
    pub origin: String,
    /// The revision in force.
    pub accepted: Option<String>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// The newest commit with its files, where the source keeps commits.
    pub commit: Option<Commit>,
    /// Whether everything is as it says.
    pub applied: bool,
    /// What is wrong with the newest revision, if it was refused.
    pub problems: Vec<Problem>,
    /// The newest revision, if it could be read and was refused.
    pub refused: Option<String>,
    /// Its commit, where the source keeps commits.
    pub refused_commit: Option<Commit>,
    /// The commit that was fetched last, whatever became of it, where the source keeps commits.
    pub fetched: Option<Commit>,
    /// When the source was last read well.
    #[serde(with = "time::serde::rfc3339::option")]
    pub read_at: Option<OffsetDateTime>,
    /// When it was last tried, whatever came of it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub tried_at: Option<OffsetDateTime>,
    /// Since when it counts as stale: not read for three intervals.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last.
    pub unread: Option<String>,
}

/// What others may see of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodView {
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
    /// What else is true of it, or is not.
    pub conditions: Vec<Condition>,
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
        let Parts { engine, store, embedded, source, folders, site, network, removal_grace, removals, secrets } = parts;
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
            removals,
            requests: Vec::new(),
            fetching: BTreeSet::new(),
            unsure: false,
            remembered: BTreeMap::new(),
            known: BTreeMap::new(),
            known_stamp: None,
            loaded: false,
            crashes: BTreeMap::new(),
            probers: BTreeMap::new(),
            doing: BTreeMap::new(),
            adopted: BTreeSet::new(),
            touched: BTreeMap::new(),
            handed: Handed::default(),
            became_ready: BTreeMap::new(),
            statuses: BTreeMap::new(),
            conditions: Conditions::default(),
            shown: None,
            reader: secrets,
            secrets: BTreeMap::new(),
            desired: None,
            actual: Actual::Unknown("it was not looked at yet".into()),
            plan: Plan::default(),
            refused: None,
            woken: BTreeSet::from(["the start"]),
            source_due: true,
            source_read: Instant::now(),
            tick: TICK,
            sync_due: true,
            revision_row: None,
            accepted_at: None,
            watchdog: Watchdog::default(),
            told: Told::default(),
            tally: Tally::default(),
            settled: BTreeSet::new(),
            applied: false,
            began: OffsetDateTime::now_utc(),
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
            let wish = self.desired.as_ref().and_then(|desired| desired.pods.get(id));
            let doing = self.doing.get(id);
            let view = PodView {
                status: status.clone(),
                conditions: self.conditions.now.get(id).cloned().unwrap_or_default(),
                url: wish.map(|wish| wish.url.clone()),
                adapter: wish.map(|wish| wish.declared.adapter.metadata.name.to_string()),
                doing: doing.map(|doing| doing.step.to_string()),
                pull: doing.and_then(|doing| doing.pull),
                settled: matches!(self.plan.pods.get(id), Some(crate::core::plan::Decision::Settled)),
            };
            (id.to_string(), view)
        });
        let refused = self.refused.as_ref().and_then(|refused| refused.reading.as_ref());
        let refused = refused.map(|reading| &reading.snapshot);
        let health = self.inputs.health();
        self.overview.send_replace(Overview {
            role: Role::Active,
            role_since: Some(self.began),
            instance: self.inputs.site().instance.to_string(),
            rounds: self.rounds,
            last_round: Some(OffsetDateTime::now_utc()),
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
                Actual::Seen(_) => None,
            },
            database: self.database.clone(),
            held_removals: self.plan.held_removals.clone(),
            busy: self.remembered.iter().filter(|(_, pod)| pod.busy).map(|(id, _)| id.clone()).collect(),
            pods: pods.collect(),
            tally: self.tally.clone(),
        });
    }
}
