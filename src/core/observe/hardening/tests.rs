//! Each setting that can deviate, one by one.

use super::{samples, *};
use crate::core::{
    digest::Digest,
    observe::{actual::ContainerState, in_force::LogDriver},
};

/// The condition of a container of which something was changed.
fn of(change: impl FnOnce(&mut InForce)) -> Condition {
    let desired = samples::desired();
    let mut container = samples::container(&desired);
    let mut in_force = InForce::of_blueprint(&desired.blueprint);
    change(&mut in_force);
    container.in_force = Some(in_force.into());
    hardened(Some(&desired), Some(&container))
}

fn one(text: &str) -> Option<Vec<String>> {
    Some(vec![text.into()])
}

#[test]
fn a_container_created_as_declared_is_hardened() {
    let condition = of(|_| {});
    assert_eq!((condition.is_true, condition.reason.as_str()), (Some(true), "AsDeclared"), "{condition:?}");
    let nameless = "5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d5f2b0c1d";
    assert_eq!(of(|is| is.volumes.as_mut().unwrap().push(nameless.into())).is_true, Some(true));
}

#[test]
fn each_deviation_is_named_in_a_sentence() {
    type Change = fn(&mut InForce);
    let namespace = |is: &mut InForce, name, mode: &str| {
        is.namespaces.as_mut().unwrap().insert(name, mode.into());
    };
    let cases: Vec<(Change, &str)> = vec![
        (|is| is.user = Some(String::new()), "it runs as root"),
        (|is| is.user = Some("root".into()), "it runs as root"),
        (|is| is.user = Some("0:1000".into()), "it runs as root"),
        (|is| is.user = Some("1001:1000".into()), "it runs as 1001:1000, not as 1000:1000"),
        (|is| is.capabilities_dropped = Some(vec![]), "not all capabilities are dropped"),
        (|is| is.capabilities_added = one("NET_ADMIN"), "it has the capabilities NET_ADMIN"),
        (|is| is.security_options = Some(vec![]), "it may gain new privileges"),
        (|is| is.security_options = one("no-new-privileges:false"), "it may gain new privileges"),
        (
            |is| is.security_options.as_mut().unwrap().push("seccomp=unconfined".into()),
            "it has the security options seccomp=unconfined",
        ),
        (|is| is.privileged = Some(true), "it is privileged"),
        (
            |is| {
                is.volume_at.as_mut().unwrap().insert("/var/lib/x".into(), "5f".repeat(32));
            },
            "what it writes to these paths is lost with it, since its image declares volumes there: /var/lib/x",
        ),
        (|is| is.init = Some(false), "it has no init process"),
        (|is| (is.memory, is.memory_and_swap) = (Some(0), Some(0)), "it has no memory limit"),
        (
            |is| (is.memory, is.memory_and_swap) = (Some(128 << 20), Some(128 << 20)),
            "its memory limit is 128Mi, not 64Mi",
        ),
        (|is| is.memory_and_swap = Some(128 << 20), "it may swap"),
        (|is| is.memory_and_swap = Some(-1), "it may swap"),
        (|is| is.nano_cpus = Some(0), "it has no processor limit"),
        (|is| is.nano_cpus = Some(2_000_000_000), "its processor limit is 2, not 0.5"),
        (|is| is.pids = Some(-1), "it has no limit on processes"),
        (|is| is.pids = Some(500), "its limit on processes is 500, not 64"),
        (|is| is.read_only_root = Some(false), "its root file system is writable"),
        (|is| is.ports = one("8080/tcp"), "it has ports on the host: 8080/tcp"),
        (|is| is.devices = one("/dev/kvm"), "it has devices of the host: /dev/kvm"),
        (|is| is.host_paths = one("/var/run/docker.sock"), "it has paths of the host: /var/run/docker.sock"),
        (|is| is.volumes = one("mine_bob_helper"), "it has volumes that are not its own: mine_bob_helper"),
        (
            |is| is.log = Some(LogDriver { name: "json-file".into(), is_bounded: false }),
            "its log, kept by json-file, is unbounded",
        ),
        (
            |is| {
                is.proxy_labels.as_mut().unwrap().insert("traefik.http.routers.x.rule".into(), "Host(`x`)".into());
            },
            "it has labels for the proxy that are not declared, perhaps from its image: traefik.http.routers.x.rule",
        ),
    ];
    for (change, sentence) in cases {
        let condition = of(change);
        assert_eq!((condition.is_true, condition.reason.as_str()), (Some(false), "Deviates"), "{sentence}");
        assert_eq!(condition.message, sentence);
    }
    for (name, mode) in
        [("network", "host"), ("pid", "host"), ("ipc", "host"), ("uts", "host"), ("pid", "container:5f")]
    {
        let condition = of(|is| namespace(is, name, mode));
        assert_eq!(condition.message, format!("it shares namespaces: {name} ({mode})"));
    }
}

#[test]
fn a_network_that_is_not_its_own_is_a_deviation() {
    let desired = samples::desired();
    let mut container = samples::container(&desired);
    container.networks.insert("bridge".into());
    let condition = hardened(Some(&desired), Some(&container));
    assert_eq!(condition.message, "it is on the network bridge, which is not declared");
}

#[test]
fn several_deviations_are_reported_together() {
    let condition = of(|is| (is.privileged, is.pids) = (Some(true), Some(65)));
    assert_eq!(condition.message, "it is privileged; its limit on processes is 65, not 64");
}

#[test]
fn what_the_engine_does_not_say_is_not_taken_for_fine() {
    let silent = of(|is| *is = InForce::default());
    assert_eq!((silent.is_true, silent.reason.as_str()), (None, "Unknown"));
    let part = of(|is| (is.devices, is.log) = (None, None));
    assert_eq!((part.is_true, part.message.as_str()), (None, "the engine does not say: devices, log"));
    let bad = of(|is| (is.devices, is.privileged) = (None, Some(true)));
    assert_eq!(
        (bad.is_true, bad.message.as_str()),
        (Some(false), "it is privileged"),
        "what is known to be bad counts"
    );
}

#[test]
fn a_container_from_another_declaration_is_held_to_the_floor_alone() {
    let desired = samples::desired();
    let mut container = samples::container(&desired);
    container.digest = Digest::from_label("another");
    let mut in_force =
        InForce { memory: Some(1 << 30), memory_and_swap: Some(1 << 30), ..InForce::of_blueprint(&desired.blueprint) };
    container.in_force = Some(in_force.clone().into());
    assert_eq!(hardened(Some(&desired), Some(&container)).is_true, None);
    assert_eq!(hardened(None, Some(&container)).is_true, None);
    in_force.privileged = Some(true);
    container.in_force = Some(in_force.into());
    assert_eq!(hardened(None, Some(&container)).message, "it is privileged");
}

#[test]
fn an_unknown_setting_is_not_reported_as_a_deviation() {
    let desired = samples::desired();
    assert_eq!(hardened(Some(&desired), None).is_true, None);
    let mut container = samples::container(&desired);
    container.in_force = None;
    assert_eq!(hardened(Some(&desired), Some(&container)).is_true, None);
    let mut stopped = samples::container(&desired);
    stopped.state = ContainerState::Exited(Default::default());
    assert_eq!(hardened(Some(&desired), Some(&stopped)).is_true, Some(true), "a stopped one has limits too");
}
