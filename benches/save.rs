//! How long it takes from a saved manifest until the new container runs, with its image present, and how much of that is
//! the engine's: the same calls (create, upload, stop, start) made bare, in turns with the saves. Needs the engine.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use agentpod::core::declare::infra::NetworkSpec;
use agentpod::core::declare::infra::VolumeSpec;
use agentpod::{
    core::{
        declare::desired::{Blueprint, ContainerSpec, RenderedFile, container_name},
        digest::Digest,
        labels,
        names::{InstanceName, PodId},
        observe::actual::{ContainerState, ObservedContainer},
    },
    engine::{Engine, docker::Docker},
};
use testkit::{
    docker::{Cleanup, unique_instance},
    files::{self, open_folder},
    manifests,
    process::Daemon,
    subnet::Subnet,
    wait::eventually,
};

/// How often each of the two is measured.
const TIMES: u64 = 15;

/// An AgentPod of our own, with one pod.
struct Stage {
    _daemon: Daemon,
    folder: tempfile::TempDir,
    docker: Docker,
    _cleanup: Cleanup,
    _subnet: Subnet,
}

impl Stage {
    fn start(instance: &InstanceName) -> Self {
        let (subnet, cleanup) = (Subnet::take(), Cleanup(instance.clone()));
        let folder = open_folder();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        let mut command = testkit::agentpod();
        command.args(["run", "--instance", instance.as_str(), "--listen", "127.0.0.1:0"]);
        command.args(["--network", &format!("{instance}-net"), "--network-subnet", &subnet.cidr()]);
        command.arg("--state-dir").arg(folder.path().join("state"));
        command.arg("--source").arg(folder.path().join("manifests"));
        save(&folder.path().join("manifests/alice.yaml"), 64);
        let daemon = Daemon::start(&mut command, &folder.path().join("log"));
        let docker = Docker::connect(instance.clone(), None).unwrap();
        Self { _daemon: daemon, folder, docker, _cleanup: cleanup, _subnet: subnet }
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("manifests/alice.yaml")
    }

    /// The container that runs, once it is not `before` and stands alone.
    async fn runs(&self, before: &str) -> String {
        let mut wait = tokio::time::interval(Duration::from_millis(5));
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            wait.tick().await;
            let seen = self.docker.observe().await.unwrap();
            let live: Vec<&ObservedContainer> =
                seen.iter().filter(|one| matches!(one.state, ContainerState::Running { .. })).collect();
            if let [one] = live[..]
                && one.name != before
            {
                return one.name.clone();
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no container within a minute\n{}", log());
        }
    }

    /// Waits until nothing but the newest container is there: the pod is settled.
    async fn at_rest(&self) {
        eventually("it comes to rest", async || (self.docker.observe().await.ok()?.len() == 1).then_some(())).await;
    }
}

/// Saves the pod with so much memory.
fn save(path: &std::path::Path, memory: u64) {
    let pod = manifests::pod("alice/a", &format!("subdomain: alice, resources: {{memory: {memory}Mi}}"));
    files::save(path, &manifests::together(&[manifests::tenant("alice"), pod]));
}

/// The engine's calls alone, on a container like the pod's.
struct Bare {
    docker: Docker,
    instance: InstanceName,
    network: String,
    running: Option<String>,
    _cleanup: Cleanup,
    _subnet: Subnet,
}

impl Bare {
    async fn new() -> Self {
        let instance = unique_instance();
        let docker = Docker::connect(instance.clone(), None).unwrap();
        let network = format!("{instance}-net");
        let subnet = Subnet::take();
        let (cidr, pool) = (subnet.cidr(), subnet.pool());
        let _cleanup = Cleanup(instance.clone());
        let bare = Self { docker, instance, network, running: None, _cleanup, _subnet: subnet };
        let network = NetworkSpec {
            name: bare.network.clone(),
            subnet: cidr,
            pool,
            mtu: None,
            labels: labels::owned(&bare.instance),
        };
        bare.docker.ensure_network(&network).await.unwrap();
        bare.docker.ensure_volume(&VolumeSpec { name: bare.volume(), labels: bare.labels() }).await.unwrap();
        bare
    }

    fn volume(&self) -> String {
        format!("{}_alice_a", self.instance)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let id: PodId = "alice/a".parse().unwrap();
        let mut labels = labels::owned(&self.instance);
        labels.insert(labels::TENANT.into(), id.tenant.to_string());
        labels.insert(labels::POD_ID.into(), id.key());
        labels
    }

    /// Makes a container and puts it in the place of the one before.
    async fn replace(&mut self, memory: u64) -> Duration {
        let blueprint = Blueprint {
            image: "agentpod/echo:1".into(),
            command: None,
            user: "1000:1000".into(),
            environment: BTreeMap::from([("ECHO_CONFIG".into(), "/config/echo.json".into())]),
            files: Vec::new(),
            folders: vec!["/config".into()],
            volume: self.volume(),
            data: "/data".into(),
            tmpfs: BTreeMap::from([("/tmp".into(), 16 << 20)]),
            read_only_root: true,
            memory: memory << 20,
            nano_cpus: 500_000_000,
            pids: 64,
            network: self.network.clone(),
            labels: self.labels(),
            stop_timeout: 10,
            secrets: BTreeMap::new(),
            token_version: 1,
            generated_version: None,
        };
        let digest = Digest::of(&(&blueprint, self.instance.as_str()));
        let name = container_name(&"alice/a".parse().unwrap(), &digest);
        let spec = ContainerSpec { name: name.clone(), digest, blueprint };
        let text = r#"{"greeting":"Hello"}"#.to_owned();
        let file = RenderedFile { path: "/config/echo.json".into(), mode: 0o444, text, hot: true };
        let begun = Instant::now();
        self.docker.create(&spec, &spec.blueprint.environment).await.unwrap();
        self.docker.deliver_files(&name, &[file]).await.unwrap();
        if let Some(before) = &self.running {
            self.docker.stop(before).await.unwrap();
        }
        self.docker.start(&name).await.unwrap();
        let took = begun.elapsed();
        if let Some(before) = self.running.replace(name) {
            self.docker.remove(&before).await.unwrap();
        }
        took
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let stage = Stage::start(&unique_instance());
    let mut container = stage.runs("").await;
    let mut bare = Bare::new().await;
    bare.replace(63).await;
    let (mut saved, mut called) = (Vec::new(), Vec::new());
    for number in 0..TIMES {
        called.push(bare.replace(65 + number).await);
        stage.at_rest().await;
        let begun = Instant::now();
        save(&stage.manifest(), 65 + number);
        container = stage.runs(&container).await;
        saved.push(begun.elapsed());
    }
    let (saved, called) = (median(saved), median(called));
    let ms = |time: Duration| time.as_millis();
    println!(
        "save to running: {} ms, of which the engine's calls made bare: {} ms, ratio {:.2}; the other {} ms are ours, most of them\n\
         waiting until the files have been quiet (median of {TIMES} each, in turns)",
        ms(saved),
        ms(called),
        saved.as_secs_f64() / called.as_secs_f64(),
        ms(saved.saturating_sub(called)),
    );
}
