//! One AgentPod of the test's own on the real engine, with one pod: `alice/assistant`, an echo agent.

use std::{collections::BTreeMap, net::IpAddr};

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
use serde_json::Value;

use crate::testkit::{
    docker::{Cleanup, docker, unique_instance},
    http,
    wait::eventually,
};
use agentpod::core::declare::infra::VolumeSpec;

pub struct Stage {
    pub docker: Docker,
    pub instance: InstanceName,
    _cleanup: Cleanup,
}

pub fn config(greeting: &str) -> RenderedFile {
    RenderedFile {
        path: "/config/echo.json".into(),
        mode: 0o444,
        text: format!(r#"{{"greeting":"{greeting}"}}"#),
        hot: true,
    }
}

impl Stage {
    pub fn new() -> Self {
        let instance = unique_instance();
        let docker = Docker::connect(instance.clone(), None).unwrap();
        Self { docker, instance: instance.clone(), _cleanup: Cleanup(instance) }
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        let id: PodId = "alice/assistant".parse().unwrap();
        let mut labels = labels::owned(&self.instance);
        labels.insert(labels::TENANT.into(), id.tenant.to_string());
        labels.insert(labels::POD_ID.into(), id.key());
        labels
    }

    pub fn volume(&self) -> String {
        format!("{}_alice_assistant", self.instance)
    }

    /// What the echo adapter makes of a pod, with a change.
    pub fn spec(&self, change: impl FnOnce(&mut Blueprint)) -> ContainerSpec {
        let mut blueprint = Blueprint {
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
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            pids: 64,
            network: "bridge".into(),
            labels: self.labels(),
            stop_timeout: 5,
            secrets: BTreeMap::new(),
            token_version: 1,
            generated_version: None,
        };
        change(&mut blueprint);
        let digest = Digest::of(&(&blueprint, self.instance.as_str()));
        let id: PodId = "alice/assistant".parse().unwrap();
        ContainerSpec { name: container_name(&id, &digest), digest, blueprint }
    }

    pub async fn made(&self, change: impl FnOnce(&mut Blueprint)) -> ContainerSpec {
        let spec = self.spec(change);
        self.docker.ensure_volume(&VolumeSpec { name: self.volume(), labels: self.labels() }).await.unwrap();
        self.docker.create(&spec, &spec.blueprint.environment).await.unwrap();
        spec
    }

    /// A pod that answers, and where.
    pub async fn running(&self, change: impl FnOnce(&mut Blueprint)) -> (ContainerSpec, IpAddr) {
        let spec = self.made(change).await;
        self.docker.deliver_files(&spec.name, &[config("Hello")]).await.unwrap();
        self.docker.start(&spec.name).await.unwrap();
        let address = self.answering(&spec.name).await;
        (spec, address)
    }

    pub async fn answering(&self, name: &str) -> IpAddr {
        eventually("the agent answers", async || {
            let address = *self.observed(name).await?.addresses.get("bridge")?;
            (http::ask("GET", (address, 8080), "/health", &[], "").await?.status == 200).then_some(address)
        })
        .await
    }

    pub async fn observed(&self, name: &str) -> Option<ObservedContainer> {
        self.docker.observe().await.unwrap().into_iter().find(|container| container.name == name)
    }

    /// Waits for a state.
    pub async fn until(&self, name: &str, what: &str, is: impl Fn(&ContainerState) -> bool) -> ObservedContainer {
        eventually(what, async || self.observed(name).await.filter(|observed| is(&observed.state))).await
    }
}

pub fn inspect(name: &str) -> Value {
    let text = docker(&["inspect", name]);
    let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.remove(0)
}

pub fn volumes_of(label: &str) -> Vec<String> {
    let filter = format!("label=agentpod.instance={label}");
    docker(&["volume", "ls", "--quiet", "--filter", &filter]).split_whitespace().map(str::to_owned).collect()
}
