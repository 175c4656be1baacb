//! The settings in force for a container, from its inspection. The engine omits what was never set, or returns null:
//! lists are then empty and limits missing. Only if the whole section is missing is a setting unknown.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, HostConfig, HostConfigLogConfig, MountPoint};

use crate::core::{
    labels,
    observe::in_force::{InForce, LogDriver},
};

/// Log drivers that bound their logs by themselves, or keep none.
const BOUNDED_LOG_DRIVERS: [&str; 2] = ["local", "none"];

/// Parses the settings in force.
pub(crate) fn in_force(inspected: &ContainerInspectResponse) -> InForce {
    let config = inspected.config.as_ref();
    let volume = |mount: &&MountPoint| mount.typ.as_deref() == Some("volume");
    // In-memory mounts reach no host.
    let host_path = |mount: &&MountPoint| !matches!(mount.typ.as_deref(), Some("volume" | "tmpfs"));
    let mounts = inspected.mounts.as_ref();
    let is = InForce {
        user: config.map(|config| config.user.clone().unwrap_or_default()),
        proxy_labels: config.and_then(|config| config.labels.as_ref()).map(|all| {
            all.iter()
                .filter(|(key, _)| labels::is_proxy_label(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        }),
        volumes: mounts.map(|all| all.iter().filter(volume).filter_map(|mount| mount.name.clone()).collect()),
        volume_at: mounts.map(|all| {
            let entry = |mount: &MountPoint| Some((mount.destination.clone()?, mount.name.clone()?));
            all.iter().filter(volume).filter_map(entry).collect()
        }),
        image: inspected.image.clone(),
        host_paths: mounts.map(|all| {
            let source = |mount: &MountPoint| mount.source.clone().unwrap_or_else(|| "an unnamed one".into());
            all.iter().filter(host_path).map(source).collect()
        }),
        ..InForce::default()
    };
    match &inspected.host_config {
        Some(host) => of_host(host, is),
        None => is,
    }
}

fn of_host(host: &HostConfig, is: InForce) -> InForce {
    let list = |words: &Option<Vec<String>>| Some(words.clone().unwrap_or_default());
    InForce {
        capabilities_dropped: list(&host.cap_drop).map(short),
        capabilities_added: list(&host.cap_add).map(short),
        security_options: list(&host.security_opt),
        privileged: host.privileged,
        init: Some(host.init.unwrap_or(false)),
        memory: host.memory,
        memory_and_swap: host.memory_swap,
        nano_cpus: host.nano_cpus,
        pids: Some(host.pids_limit.unwrap_or(0)),
        read_only_root: host.readonly_rootfs,
        namespaces: namespaces(host),
        ports: Some(ports(host)),
        devices: Some(devices(host)),
        log: host.log_config.as_ref().map(log),
        ..is
    }
}

/// The engine says `CAP_SYS_ADMIN` where people say `SYS_ADMIN`.
fn short(capabilities: Vec<String>) -> Vec<String> {
    capabilities.into_iter().map(|name| name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)).collect()
}

/// Known only if the two that matter most are reported.
fn namespaces(host: &HostConfig) -> Option<BTreeMap<&'static str, String>> {
    let reported = [
        ("network", Some(host.network_mode.clone()?)),
        ("pid", Some(host.pid_mode.clone()?)),
        ("ipc", host.ipc_mode.clone()),
        ("uts", host.uts_mode.clone()),
        ("userns", host.userns_mode.clone()),
    ];
    Some(reported.into_iter().filter_map(|(name, mode)| Some((name, mode?))).collect())
}

fn ports(host: &HostConfig) -> Vec<String> {
    let bound = host.port_bindings.iter().flatten();
    let mut ports: Vec<String> = bound.map(|(port, _)| port.clone()).collect();
    if host.publish_all_ports == Some(true) {
        ports.push("all exposed ports".into());
    }
    ports.sort();
    ports
}

fn devices(host: &HostConfig) -> Vec<String> {
    let plain = host.devices.iter().flatten();
    let plain = plain.map(|device| device.path_on_host.clone().unwrap_or_else(|| "an unnamed one".into()));
    let rules = host.device_cgroup_rules.iter().flatten().cloned();
    let requested = host.device_requests.iter().flatten();
    let requested = requested
        .map(|request| request.driver.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "by request".into()));
    plain.chain(rules).chain(requested).collect()
}

fn log(log: &HostConfigLogConfig) -> LogDriver {
    let name = log.typ.clone().unwrap_or_default();
    let has_size = log.config.as_ref().is_some_and(|config| config.contains_key("max-size"));
    let is_bounded = BOUNDED_LOG_DRIVERS.contains(&name.as_str()) || has_size;
    LogDriver { name, is_bounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> InForce {
        in_force(&serde_json::from_str(json).unwrap())
    }

    /// The inspection of a container that was created as we ask.
    const OURS: &str = r#"{"Id":"5f",
        "Config":{"User":"1000:1000","Labels":{"agentpod.managed":"true","traefik.enable":"true"}},
        "Mounts":[{"Type":"volume","Name":"mine_alice_assistant","Source":"/var/lib/docker/volumes/x/_data","Destination":"/data"},
            {"Type":"tmpfs","Source":"","Destination":"/tmp"}],
        "HostConfig":{"Binds":null,"LogConfig":{"Type":"local","Config":{"max-file":"3","max-size":"10m"}},
            "NetworkMode":"agentpod-net","PortBindings":null,"CapAdd":null,"CapDrop":["ALL"],"IpcMode":"private","PidMode":"",
            "Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":true,"SecurityOpt":["no-new-privileges:true"],
            "UTSMode":"","UsernsMode":"","Memory":67108864,"NanoCpus":500000000,"Devices":null,"DeviceCgroupRules":null,
            "DeviceRequests":null,"MemorySwap":67108864,"PidsLimit":64,"Init":true}}"#;

    #[test]
    fn a_container_made_as_we_ask_shows_it() {
        let is = read(OURS);
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!((is.user.as_deref(), is.privileged, is.init), (Some("1000:1000"), Some(false), Some(true)));
        assert_eq!((is.memory, is.memory_and_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((is.nano_cpus, is.pids, is.read_only_root), (Some(500_000_000), Some(64), Some(true)));
        assert_eq!((is.capabilities_dropped, is.capabilities_added), (words(&["ALL"]), words(&[])));
        assert_eq!((is.ports, is.devices, is.host_paths), (words(&[]), words(&[]), words(&[])));
        assert_eq!(
            (is.volumes, is.log),
            (words(&["mine_alice_assistant"]), Some(LogDriver { name: "local".into(), is_bounded: true }))
        );
        assert_eq!(is.volume_at, Some(BTreeMap::from([("/data".into(), "mine_alice_assistant".into())])));
        assert_eq!(is.proxy_labels, Some(BTreeMap::from([("traefik.enable".into(), "true".into())])));
        assert_eq!(is.namespaces.unwrap()["network"], "agentpod-net");
    }

    #[test]
    fn everything_that_a_plain_docker_run_leaves_open_is_a_deviation() {
        let is = read(
            r#"{"Config":{"User":""},"Mounts":[{"Type":"bind","Source":"/var/run/docker.sock","Destination":"/s"}],
                "HostConfig":{"CapDrop":null,"SecurityOpt":null,"PidsLimit":null,"Memory":0,"NanoCpus":0,"MemorySwap":0,
                "LogConfig":{"Type":"json-file","Config":{}},"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"80"}]},
                "Devices":[{"PathOnHost":"/dev/kvm"}],"DeviceRequests":[{"Driver":"nvidia"}],"NetworkMode":"host","PidMode":"host"}}"#,
        );
        assert_eq!((is.user.as_deref(), is.pids, is.init), (Some(""), Some(0), Some(false)));
        assert_eq!(
            (is.ports.unwrap(), is.devices.unwrap()),
            (vec!["80/tcp".into()], vec!["/dev/kvm".to_owned(), "nvidia".into()])
        );
        assert_eq!(
            (is.host_paths.unwrap(), is.log),
            (vec!["/var/run/docker.sock".to_owned()], Some(LogDriver { name: "json-file".into(), is_bounded: false }))
        );
        assert_eq!((is.capabilities_dropped, is.privileged), (Some(vec![]), None));
        assert_eq!(is.namespaces.unwrap()["pid"], "host");
    }

    #[test]
    fn an_answer_without_these_parts_says_nothing() {
        assert_eq!(read(r#"{"Id":"5f"}"#), InForce::default());
    }
}
