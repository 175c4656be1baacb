//! A start with a broken source or broken adapters continues with the last good pair: the real reconciler and a real
//! PostgreSQL, with an engine in memory.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use agentpod::{
    core::observe::actual::{ContainerState, Exit},
    engine::memory::MemoryEngine,
    reconcile::{DaemonStatus, Parts, Reconciler},
    source::{AdapterFolders, Directory, Source, Watch},
    store::Store,
};
use tokio_util::sync::CancellationToken;

use crate::testkit::{
    files::save,
    manifests::{pod, tenant, together},
    reconciler::{Running, parts},
    site::shipped,
    store::fresh,
};

/// Folders, a database and an engine that outlive several AgentPods.
struct Stage {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    engine: Arc<MemoryEngine>,
}

/// One run of an AgentPod.
struct Life(Running);

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = fresh().await.0;
        let stage = Self { folder, store: Arc::new(store), engine: Arc::default() };
        stage.write("manifests/pods.yaml", &together(&[tenant("alice"), pod("alice/a", "subdomain: a")]));
        for file in ["adapters/echo/adapter.yaml", "templates/echo/echo.json.j2"] {
            stage.write(file, &shipped(file));
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        save(&self.path(name), text);
    }

    fn live(&self) -> Life {
        let folders = AdapterFolders { adapters: self.path("adapters"), templates: self.path("templates") };
        let source = Source::Directory(Directory::new(self.path("manifests")));
        let watch = Watch::start([source.folders(), folders.folders()].concat());
        let removal_grace = time::Duration::minutes(10);
        let parts = Parts { folders, removal_grace, ..parts(&self.engine, &self.store, source) };
        let (reconciler, view) = Reconciler::new(parts);
        let reconciler = reconciler.with_tick(Duration::from_secs(1));
        Life(Running::start((reconciler, view), CancellationToken::new(), Some(watch)))
    }

    fn container(&self) -> Option<(String, ContainerState)> {
        let world = self.engine.world();
        world.containers.iter().next().map(|(name, container)| (name.clone(), container.state.clone()))
    }

    fn runs(&self) -> bool {
        matches!(self.container(), Some((_, ContainerState::Running { .. })))
    }

    /// Ends the container as if its process had died, or removes it.
    fn harm(&self, remove: bool) {
        let mut world = self.engine.world();
        if remove {
            world.containers.clear();
        } else {
            world.containers.values_mut().for_each(|one| one.state = ContainerState::Exited(Exit::default()));
        }
    }
}

impl Life {
    /// Waits until the status matches; the engine in memory has no events, so a changed file triggers rounds.
    async fn until(&mut self, stage: &Stage, what: &str, is: impl Fn(&DaemonStatus) -> bool) -> DaemonStatus {
        for n in 0..200 {
            let seen = self.0.overview();
            if is(&seen) {
                return seen;
            }
            if n % 10 == 9 {
                stage.write("manifests/notes.txt", &n.to_string());
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), self.0.view.changed()).await;
        }
        panic!("not within 20 s: {what}\n{:#?}\n{:#?}", self.0.view.borrow(), stage.engine.world().containers);
    }

    async fn end(self) {
        self.0.stop().await;
    }
}

/// Whether nothing is left to do. Nothing answers a probe in memory, so a pod never becomes ready.
fn is_settled(seen: &DaemonStatus) -> bool {
    !seen.pods.is_empty() && seen.pods.values().all(|pod| pod.settled)
}

/// A stage on which one AgentPod accepted and applied everything, and ended.
async fn accepted() -> Stage {
    let stage = Stage::new().await;
    let mut life = stage.live();
    life.until(&stage, "all is done", |seen| is_settled(seen) && stage.runs()).await;
    life.end().await;
    stage
}

/// A start with broken input: shows a problem that names `place`, repairs the pod, and recovers after `mend`.
async fn goes_on_and_heals(stage: &Stage, place: &str, mend: impl FnOnce(&Stage)) {
    let before = stage.container().unwrap().0;
    stage.harm(false);
    let mut life = stage.live();
    let seen = life.until(stage, "what ended is started again", |seen| stage.runs() && seen.rounds > 0).await;
    let problems: String = seen.source.problems.iter().map(ToString::to_string).collect();
    assert!(problems.contains(place), "{place} is not in {problems:?}");
    stage.harm(true);
    life.until(stage, "what was removed is made again", |_| stage.runs()).await;
    assert_eq!(stage.container().unwrap().0, before, "just as it was");
    mend(stage);
    life.until(stage, "it is in order again", |seen| seen.source.problems.is_empty() && is_settled(seen)).await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_template_that_would_overflow_the_stack_continues_with_the_last_good_revision() {
    let stage = accepted().await;
    let file = "templates/echo/echo.json.j2";
    stage.write(file, &format!("{{{{ {}1 }}}}", "1+".repeat(9_100)));
    goes_on_and_heals(&stage, "templates/echo/echo.json.j2:1:1: an expression has", |stage| {
        stage.write(file, &shipped(file));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_broken_adapter_continues_with_the_last_good_revision() {
    let stage = accepted().await;
    let file = "adapters/echo/adapter.yaml";
    stage.write(file, &shipped(file).replace("port: 8080", "prot: 8080"));
    goes_on_and_heals(&stage, "adapters/echo/adapter.yaml:", |stage| stage.write(file, &shipped(file))).await;
    let row = stage.store.newest().await.unwrap().unwrap();
    assert!(row.accepted_at.is_some(), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_broken_template_continues_with_the_last_good_revision() {
    let stage = accepted().await;
    let file = "templates/echo/echo.json.j2";
    stage.write(file, "{\"greeting\": {{ config.nothing }}}");
    goes_on_and_heals(&stage, "templates/echo/echo.json.j2:1:", |stage| stage.write(file, &shipped(file))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_any_folder_continues_with_the_last_good_revision() {
    let stage = accepted().await;
    for folder in ["manifests", "adapters", "templates"] {
        fs::rename(stage.path(folder), stage.path(&format!("{folder}-away"))).unwrap();
    }
    goes_on_and_heals(&stage, "adapters", |stage| {
        for folder in ["manifests", "adapters", "templates"] {
            let _ = fs::remove_dir_all(stage.path(folder));
            fs::rename(stage.path(&format!("{folder}-away")), stage.path(folder)).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_adapters_alone_is_accepted_and_used_by_a_start_with_a_broken_source() {
    let stage = accepted().await;
    let before = stage.container().unwrap().0;
    let file = "adapters/echo/adapter.yaml";
    stage.write(file, &shipped(file).replace("ECHO_CONFIG: /config", "ECHO_NEW: x\n    ECHO_CONFIG: /config"));
    let mut life = stage.live();
    let changed = |stage: &Stage| stage.engine.world().containers.keys().any(|name| *name != before);
    life.until(&stage, "the changed adapter is in force", |_| changed(&stage)).await;
    life.end().await;

    stage.harm(true);
    stage.write("manifests/pods.yaml", "kind: Nothing\n");
    stage.write(file, &shipped(file));
    let mut life = stage.live();
    life.until(&stage, "what was removed is made again", |_| stage.runs()).await;
    assert!(changed(&stage), "not by the adapters in the folder, which were never accepted with these manifests");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_with_a_broken_adapter_touches_nothing_and_reports_the_position() {
    let stage = Stage::new().await;
    stage.write("adapters/echo/adapter.yaml", "kind: Adapter\n");
    let mut life = stage.live();
    let seen = life.until(&stage, "it has looked", |seen| seen.rounds > 1).await;
    assert!(
        seen.source.accepted.is_none() && seen.source.problems[0].to_string().contains("adapters/echo/adapter.yaml")
    );
    assert_eq!(stage.engine.world().writes, [""; 0]);
    life.end().await;
}

#[tokio::test]
async fn a_probe_that_its_adapter_changes_is_asked_of_the_container_that_runs() {
    let stage = Stage::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.engine.world().reached_at = Some(listener.local_addr().unwrap());
    let (paths, mut asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let length = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let _ = paths.send(request.split(' ').nth(1).unwrap_or_default().to_owned());
        }
    });
    let mut life = stage.live();
    life.until(&stage, "it runs", |_| stage.runs()).await;
    let before = stage.container();
    assert_eq!(asked.recv().await.unwrap(), "/health");
    stage.write("adapters/echo/adapter.yaml", &shipped("adapters/echo/adapter.yaml").replace("/health", "/other"));
    let other = async { while asked.recv().await.unwrap() != "/other" {} };
    tokio::time::timeout(Duration::from_secs(20), other).await.unwrap();
    assert_eq!(stage.container().map(|(name, _)| name), before.map(|(name, _)| name));
    life.end().await;
}
