//! What is really on the engine, by way of the `docker` command and none of the code under test.

use serde_json::Value;

use super::Stand;
use crate::testkit::docker::{docker, try_docker};

/// A container as `docker inspect` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// When it was last started.
    pub started_at: String,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// The volume mounted at /data.
    pub volume: String,
    /// Its environment.
    pub environment: Vec<String>,
    /// Everything `docker inspect` shows.
    pub raw: Value,
}

impl Container {
    fn read(raw: Value) -> Container {
        let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |pointer: &str| raw.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let data = list("/Mounts").into_iter().find(|mount| mount["Destination"] == "/data");
        Container {
            id: text("/Id"),
            name: text("/Name").trim_start_matches('/').to_owned(),
            running: raw.pointer("/State/Running") == Some(&Value::Bool(true)),
            started_at: text("/State/StartedAt"),
            restarts: raw["RestartCount"].as_u64().unwrap_or_default(),
            volume: data.and_then(|mount| mount["Name"].as_str().map(str::to_owned)).unwrap_or_default(),
            environment: list("/Config/Env").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            raw,
        }
    }

    /// What tells whether it is the same container in the same life.
    pub fn life(&self) -> (&str, &str, u64) {
        (&self.id, &self.started_at, self.restarts)
    }

    /// The value of an environment variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Stand {
    /// Every container of the stand's instance.
    pub fn all_containers(&self) -> Vec<Container> {
        self.containers_with(&format!("agentpod.instance={}", self.instance()))
    }

    /// A pod's containers.
    pub fn containers(&self, id: &str) -> Vec<Container> {
        let key = id.replace('/', "_");
        self.all_containers().into_iter().filter(|one| one.raw["Config"]["Labels"]["agentpod.pod-id"] == *key).collect()
    }

    /// A pod's container; there must be exactly one.
    pub fn container(&self, id: &str) -> Container {
        let mut found = self.containers(id);
        assert_eq!(found.len(), 1, "containers of {id}: {:?}", found.iter().map(|one| &one.name).collect::<Vec<_>>());
        found.remove(0)
    }

    /// The names of the instance's volumes that outlive their containers.
    pub fn volumes(&self) -> Vec<String> {
        let filter = format!("label=agentpod.instance={}", self.instance());
        let names = docker(&["volume", "ls", "--quiet", "--filter", &filter]);
        names.lines().filter(|name| name.starts_with(self.instance())).map(str::to_owned).collect()
    }

    /// The address the network keeps free for the proxy, once the network is there.
    pub fn proxy_address(&self) -> Option<String> {
        let format = "{{index .Labels \"agentpod.proxy-address\"}}";
        try_docker(&["network", "inspect", "--format", format, self.instance()]).filter(|address| !address.is_empty())
    }

    fn containers_with(&self, label: &str) -> Vec<Container> {
        loop {
            let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={label}")]);
            if ids.is_empty() {
                return Vec::new();
            }
            let mut inspect = vec!["inspect", "--type", "container"];
            inspect.extend(ids.lines());
            // One that goes between the two questions is no container any more: ask again.
            if let Some(text) = try_docker(&inspect) {
                let found: Vec<Value> = serde_json::from_str(&text).unwrap();
                return found.into_iter().map(Container::read).collect();
            }
        }
    }
}
