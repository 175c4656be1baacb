//! A container as the API wants it: the blueprint, the real environment, and the baseline of every container.
//!
//! This is the only place that says what a tenant's container may do. It has no way to the host: no path, no device, no
//! socket, no published port, no capability.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    RestartPolicy, RestartPolicyNameEnum,
};

use crate::core::{
    declare::{
        desired::{Blueprint, ContainerSpec},
        parts::PartDigests,
    },
    labels,
    names::PodId,
};

/// Where a container that makes folders has the whole volume of the data.
pub(crate) const MAKER_DATA: &str = "/agentpod-data";

/// The body of the call that creates a container. Contains secrets: never log it.
/// `data_folders` are mounted from the data's volume once more, each at its own path.
pub(crate) fn body(
    container: &ContainerSpec,
    environment: &BTreeMap<String, String>,
    data_folders: &[String],
) -> ContainerCreateBody {
    let blueprint = &container.blueprint;
    let mut labels: HashMap<String, String> = blueprint.labels.clone().into_iter().collect();
    labels.insert(labels::DIGEST.into(), container.digest.as_str().into());
    labels.insert(labels::PARTS.into(), PartDigests::of(&container.blueprint).to_label());
    ContainerCreateBody {
        hostname: pod_name(blueprint),
        user: Some(blueprint.user.clone()),
        env: Some(environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: blueprint.command.clone(),
        image: Some(blueprint.image.clone()),
        labels: Some(labels),
        stop_timeout: Some(signed(blueprint.stop_timeout)),
        // We probe ourselves: images' own checks run minutes apart, and the proxy would wait for them.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        host_config: Some(baseline(blueprint, data_folders)),
        ..Default::default()
    }
}

fn baseline(blueprint: &Blueprint, data_folders: &[String]) -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges:true".into()]),
        privileged: Some(false),
        publish_all_ports: Some(false),
        readonly_rootfs: Some(blueprint.read_only_root),
        ipc_mode: Some("private".into()),
        init: Some(true),
        memory: Some(signed(blueprint.memory)),
        memory_swap: Some(signed(blueprint.memory)), // memory and swap together, hence no swap
        nano_cpus: Some(signed(blueprint.nano_cpus)),
        pids_limit: Some(i64::from(blueprint.pids)),
        network_mode: Some(blueprint.network.clone()),
        mounts: Some(mounts(blueprint, data_folders)),
        tmpfs: Some(blueprint.tmpfs.iter().map(|(path, size)| (path.clone(), tmpfs(*size, &blueprint.user))).collect()),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("local".into()),
            config: Some(HashMap::from([("max-size".into(), "10m".into()), ("max-file".into(), "3".into())])),
        }),
        ..Default::default()
    }
}

/// The options of an in-memory folder. It belongs to the agent: where the image has no such folder, the mode alone is lost
/// when the container starts a second time.
fn tmpfs(size: u64, user: &str) -> String {
    let owner = match user.split_once(':') {
        Some((uid, gid)) => format!(",uid={uid},gid={gid}"),
        None => String::new(),
    };
    format!("rw,noexec,nosuid,nodev,size={size},mode=1777{owner}")
}

/// The data, and an anonymous volume for each folder of rendered files: the archive upload is refused for a read-only
/// root, and an anonymous volume is removed with its container.
fn mounts(blueprint: &Blueprint, data_folders: &[String]) -> Vec<Mount> {
    // A path that the image declares as a volume would get an anonymous one instead.
    let in_data = data_folders.iter().map(|folder| Mount {
        volume_options: Some(MountVolumeOptions { subpath: Some(folder.clone()), ..Default::default() }),
        ..volume_at(blueprint, format!("{}/{folder}", blueprint.data))
    });
    let folder = |path: &String| Mount {
        target: Some(path.clone()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(owner_labels(blueprint)), ..Default::default() }),
        ..Default::default()
    };
    // A folder that is the data volume itself is writable already.
    let folders = blueprint.folders.iter().filter(|path| **path != blueprint.data).map(folder);
    std::iter::once(volume_at(blueprint, blueprint.data.clone())).chain(in_data).chain(folders).collect()
}

/// The volume with the pod's data, at a path.
fn volume_at(blueprint: &Blueprint, target: String) -> Mount {
    Mount {
        target: Some(target),
        source: Some(blueprint.volume.clone()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    }
}

/// The body of a container that is never started: through it, folders are made in the data's volume. The volume is mounted
/// at its own path too, so that an empty one is filled from the image as it would be for the pod's container.
pub(crate) fn folder_maker(blueprint: &Blueprint) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(blueprint.image.clone()),
        cmd: blueprint.command.clone(),
        user: Some(blueprint.user.clone()),
        labels: Some(HashMap::from([(labels::MANAGED.to_owned(), "true".to_owned())])),
        host_config: Some(HostConfig {
            network_mode: Some("none".into()),
            cap_drop: Some(vec!["ALL".into()]),
            mounts: Some([blueprint.data.clone(), MAKER_DATA.into()].map(|path| volume_at(blueprint, path)).into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn owner_labels(blueprint: &Blueprint) -> HashMap<String, String> {
    let owners = [labels::MANAGED, labels::INSTANCE, labels::TENANT, labels::POD_ID];
    let known = |key: &str| blueprint.labels.get(key).map(|value| (key.to_owned(), value.clone()));
    owners.into_iter().filter_map(known).collect()
}

fn pod_name(blueprint: &Blueprint) -> Option<String> {
    let id = PodId::from_key(blueprint.labels.get(labels::POD_ID)?)?;
    Some(id.pod.to_string())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::core::{declare::desired::RenderedFile, digest::Digest};

    fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn spec() -> ContainerSpec {
        let blueprint = Blueprint {
            image: "agentpod/echo:1".into(),
            command: Some(vec!["serve".into()]),
            user: "1000:1000".into(),
            environment: text(&[("ECHO_TOKEN", "[gateway token]")]),
            files: vec![RenderedFile { path: "/config/echo.json".into(), mode: 0o444, text: "{}".into(), hot: false }],
            folders: vec!["/config".into(), "/data".into()],
            volume: "mine_alice_assistant".into(),
            data: "/data".into(),
            tmpfs: BTreeMap::from([("/tmp".into(), 16 << 20)]),
            read_only_root: true,
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            pids: 64,
            network: "agentpod-net".into(),
            labels: text(&[
                (labels::MANAGED, "true"),
                (labels::INSTANCE, "mine"),
                (labels::TENANT, "alice"),
                (labels::POD_ID, "alice_assistant"),
                ("traefik.enable", "true"),
            ]),
            stop_timeout: 10,
            secrets: BTreeMap::new(),
            token_version: 1,
            generated_version: None,
        };
        ContainerSpec { name: "alice_assistant-01234567".into(), digest: Digest::from_label("0123456789"), blueprint }
    }

    #[test]
    fn the_body_of_a_container() {
        let environment = text(&[("ECHO_DATA", "/data"), ("ECHO_TOKEN", "the real token")]);
        let body = body(&spec(), &environment, &[]);
        let body = serde_json::to_value(body).unwrap();
        insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!("container", body) });
    }

    #[test]
    fn a_container_never_reaches_the_host() {
        let mut spec = spec();
        spec.blueprint.read_only_root = false;
        let body = serde_json::to_value(body(&spec, &BTreeMap::new(), &["sub".into()])).unwrap();
        let host = &body["HostConfig"];
        for key in [
            "Binds",
            "Devices",
            "PortBindings",
            "CapAdd",
            "PidMode",
            "UsernsMode",
            "VolumesFrom",
            "ExtraHosts",
            "Sysctls",
        ] {
            assert_eq!(host.get(key).unwrap_or(&Value::Null), &Value::Null, "{key}");
        }
        let mounts = host["Mounts"].as_array().unwrap();
        assert!(mounts.iter().all(|mount| mount["Type"] == "volume"), "{mounts:?}");
        let at = |path: &str| mounts.iter().find(|mount| mount["Target"] == path).unwrap();
        assert_eq!(at("/data/sub")["Source"], at("/data")["Source"]);
        assert_eq!(at("/data/sub")["VolumeOptions"]["Subpath"], "sub");
        assert!(!body.to_string().contains("docker.sock"));
    }
}
