//! A reconciler on a folder, a database and an engine of its own, to be stopped and started as a test likes.

use std::{fs, sync::Arc, time::Duration};

use agentpod::{
    core::decide::request::{Request, RequestSpec},
    engine::{ContainerChange, EngineEvent, memory::MemoryEngine},
    reconcile::{DaemonStatus, LogReader, Parts, Reconciler},
    secrets::{Identities, SecretReader},
    source::{Directory, Source, Watch},
    store::{RequestRow, Store, view::EventLine},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::testkit::rows;
use crate::testkit::{
    manifests::{pod, tenant, together},
    postgres,
    reconciler::{Running, parts},
    store::fresh,
    wait::eventually,
};

pub const POD: &str = "alice/assistant";

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub engine: Arc<MemoryEngine>,
    pub store: Arc<Store>,
    /// Reads logs while a reconciler runs.
    pub logs: Option<LogReader>,
    /// Whether saved files are told.
    pub watches: bool,
    /// How often the source should be read.
    pub interval: Option<time::Duration>,
    pub options: PgConnectOptions,
    running: Option<Running>,
}

impl Stage {
    /// One pod with more in its spec. Nothing runs yet.
    pub async fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        let (store, options) = fresh().await;
        let store = Arc::new(store);
        let stage = Self {
            folder,
            engine: Arc::new(MemoryEngine::default()),
            store,
            logs: None,
            watches: false,
            interval: None,
            options,
            running: None,
        };
        stage.declare(spec);
        stage
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn declare(&self, spec: &str) {
        let first = pod(POD, &format!("subdomain: alice, {spec}"));
        let text = together(&[tenant("alice"), first, pod("alice/other", "subdomain: other")]);
        fs::write(self.path("manifests/all.yaml"), text).unwrap();
    }

    /// Declares pods of alice with these names, and no others.
    pub fn declare_pods(&self, names: &[&str]) {
        let pods = names.iter().map(|name| pod(&format!("alice/{name}"), &format!("subdomain: {name}")));
        let text = together(&[tenant("alice")].into_iter().chain(pods).collect::<Vec<_>>());
        fs::write(self.path("manifests/all.yaml"), text).unwrap();
    }

    /// Removes the first pod's manifest; another one stays.
    pub fn undeclare(&self) {
        let file = self.path("manifests/all.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let kept: Vec<&str> = text.split("---\n").filter(|one| !one.contains("name: assistant")).collect();
        fs::write(file, kept.join("---\n")).unwrap();
    }

    /// Starts a reconciler; nobody tells it of saved files unless it watches.
    pub fn start(&mut self, tick: Duration) {
        let source = Source::Directory(Directory::new(self.path("manifests")));
        let secrets = SecretReader::new(Identities::new(vec![self.path("age.key")]));
        let (reconciler, view) = Reconciler::new(Parts { secrets, ..parts(&self.engine, &self.store, source) });
        self.logs = Some(reconciler.logs());
        let reconciler = match self.interval {
            Some(interval) => reconciler.with_interval(interval),
            None => reconciler,
        };
        let watch = self.watches.then(|| Watch::start(vec![self.path("manifests")]));
        let reconciler = (reconciler.with_tick(tick), view);
        self.running = Some(Running::start(reconciler, CancellationToken::new(), watch));
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub fn overview(&self) -> DaemonStatus {
        self.running.as_ref().unwrap().overview()
    }

    /// The names of the pod's containers that run.
    pub fn running(&self) -> Vec<String> {
        let world = self.engine.world();
        let mine = world.containers.iter().filter(|(_, one)| one.pod.to_string() == POD);
        let runs = |state| matches!(state, &agentpod::core::observe::actual::ContainerState::Running { .. });
        mine.filter(|(_, one)| runs(&one.state)).map(|(name, _)| name.clone()).collect()
    }

    /// The names of all pods of which a container runs.
    pub fn pods_running(&self) -> Vec<String> {
        let world = self.engine.world();
        let runs = |state| matches!(state, &agentpod::core::observe::actual::ContainerState::Running { .. });
        let mut pods: Vec<String> =
            world.containers.values().filter(|one| runs(&one.state)).map(|one| one.pod.pod.to_string()).collect();
        pods.sort();
        pods
    }

    /// Asks for something as alice@host.
    pub async fn ask(&self, what: RequestSpec) -> i64 {
        let request = Request { what, actor: "alice@host".into() };
        self.store.add_request(&request, time::OffsetDateTime::now_utc()).await.unwrap()
    }

    /// Waits until a request is over.
    pub async fn answered(&self, id: i64) -> RequestRow {
        eventually("the request is over", async || {
            self.store.request(id).await.unwrap().filter(|row| row.ended_at.is_some())
        })
        .await
    }

    /// Waits until exactly one container of the pod runs that is not `before`, and a round has seen it.
    pub async fn runs(&self, before: &str) -> String {
        let name = eventually("a container runs", async || match &self.running()[..] {
            [one] if one != before => Some(one.clone()),
            _ => None,
        })
        .await;
        let seen = async || {
            let overview = self.overview();
            let pod = overview.pods.get(POD)?;
            (pod.status.container.as_deref() == Some(&name) && pod.doing.is_none()).then_some(())
        };
        eventually("a round has seen it", seen).await;
        name
    }

    /// Waits until the pod is in a phase.
    pub async fn phase(&self, phase: &str) {
        let is_so =
            async || self.overview().pods.get(POD).filter(|pod| format!("{:?}", pod.status.phase) == phase).map(drop);
        eventually(phase, is_so).await;
    }

    /// The container writes this and dies; answers the event that tells of it.
    pub async fn dies(&self, container: &str, words: &[&str]) -> EventLine {
        let known = self.events().await.iter().map(|row| row.count).sum::<i32>();
        self.engine.world().logs.insert(container.into(), words.iter().map(|line| (*line).to_owned()).collect());
        let event = EngineEvent {
            pod: Some(POD.parse().unwrap()),
            container: container.into(),
            change: ContainerChange::Exited { code: Some(7) },
        };
        eventually("the reconciler listens", async || self.engine.say(event.clone()).then_some(())).await;
        let told = async || {
            let rows = self.events().await;
            (rows.iter().map(|row| row.count).sum::<i32>() > known).then(|| rows.last().cloned()).flatten()
        };
        eventually("the end is told", told).await
    }

    /// The engine says that something happened to the container.
    pub async fn says(&self, change: ContainerChange, container: &str) {
        let event = EngineEvent { pod: Some(POD.parse().unwrap()), container: container.into(), change };
        eventually("the reconciler listens", async || self.engine.say(event.clone()).then_some(())).await;
    }

    async fn events(&self) -> Vec<EventLine> {
        let all = rows::events(&self.store, None, 1000).await;
        all.into_iter().filter(|row| row.kind.as_str() == "exited").collect()
    }

    /// Waits until the source was read, or tried, once more from beginning to end.
    pub async fn observed_again(&self) {
        for _ in 0..2 {
            let before = self.overview().source.tried_at;
            eventually("the source is tried", async || (self.overview().source.tried_at > before).then_some(())).await;
        }
    }

    /// The first event of a kind that is about a pod.
    pub async fn pod_event(&self, kind: &str) -> EventLine {
        let is_meant = |row: &EventLine| row.pod.is_some() && row.kind.as_str() == kind;
        let found = async || rows::events(&self.store, None, 1000).await.into_iter().find(is_meant);
        eventually(&format!("there is an event {kind} of a pod"), found).await
    }

    /// The first event of a kind.
    pub async fn event(&self, kind: &str) -> EventLine {
        let found =
            async || rows::events(&self.store, None, 1000).await.into_iter().find(|row| row.kind.as_str() == kind);
        eventually(&format!("there is an event {kind}"), found).await
    }

    /// Waits until the reconciler hears what other processes say.
    pub async fn listens(&self) {
        let mut connection = PgConnection::connect_with(&self.options).await.unwrap();
        let query = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()";
        while sqlx::query(query).fetch_optional(&mut connection).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Everything that stands in the database, as text.
    pub async fn dump(&self) -> String {
        postgres::dump(&self.options).await.join("\n")
    }
}
