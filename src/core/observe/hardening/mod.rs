//! Whether a container is hardened as declared: the settings in force against the baseline of every container and its
//! own declaration. An unknown setting does not count as fine. This only reports; it leads to no step.

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use super::{
    actual::{ObservedContainer, is_anonymous},
    condition::{Condition, ConditionKind},
    in_force::InForce,
};
use crate::core::{
    declare::desired::{Blueprint, ContainerSpec},
    quantity::{Cpus, Memory},
    report::reason::Reason,
};

/// The condition of a pod with this current container.
pub fn hardened(desired: Option<&ContainerSpec>, container: Option<&ObservedContainer>) -> Condition {
    let Some(container) = container else { return Condition::unknown(ConditionKind::Hardened, "it has no container") };
    let Some(in_force) = &container.in_force else {
        return Condition::unknown(ConditionKind::Hardened, "its container could not be inspected");
    };
    let mut findings = Findings::default();
    findings.baseline(in_force);
    let desired = desired.filter(|desired| desired.digest == container.digest);
    if let Some(desired) = desired {
        findings.declared(in_force, &desired.blueprint);
        let others = container.networks.iter().filter(|network| **network != desired.blueprint.network);
        findings
            .deviations
            .extend(others.map(|network| format!("it is on the network {network}, which is not declared")));
    }
    let Findings { deviations, unknown } = findings;
    if !deviations.is_empty() {
        return Condition::new(ConditionKind::Hardened, false, Reason::Deviates, deviations.join("; "));
    }
    if !unknown.is_empty() {
        return Condition::unknown(ConditionKind::Hardened, format!("the engine does not say: {}", unknown.join(", ")));
    }
    match desired {
        Some(_) => Condition::new(
            ConditionKind::Hardened,
            true,
            Reason::AsDeclared,
            "the baseline and its declared limits are in force",
        ),
        None => Condition::unknown(
            ConditionKind::Hardened,
            "the baseline is in force; its container is from another declaration, so its limits are not compared",
        ),
    }
}

#[derive(Default)]
struct Findings {
    deviations: Vec<String>,
    unknown: Vec<&'static str>,
}

impl Findings {
    /// Checks one setting, if it is known.
    fn check<T>(&mut self, what: &'static str, value: Option<&T>, deviation: impl FnOnce(&T) -> Option<String>) {
        match value {
            Some(value) => self.deviations.extend(deviation(value)),
            None if !self.unknown.contains(&what) => self.unknown.push(what),
            None => {}
        }
    }

    /// The baseline of every container, whatever is declared.
    fn baseline(&mut self, is: &InForce) {
        self.check("user", is.user.as_ref(), |user| is_root(user).then(|| "it runs as root".into()));
        self.check("capabilities", is.capabilities_dropped.as_ref(), |dropped| {
            (!dropped.iter().any(|name| name == "ALL")).then(|| "not all capabilities are dropped".into())
        });
        self.check("capabilities", is.capabilities_added.as_ref(), |added| listed(added, "it has the capabilities"));
        self.check("security options", is.security_options.as_ref(), |options| {
            (!options.iter().any(|option| forbids_privileges(option))).then(|| "it may gain new privileges".into())
        });
        self.check("security options", is.security_options.as_ref(), |options| {
            let others: Vec<String> =
                options.iter().filter(|option| !option.starts_with("no-new-privileges")).cloned().collect();
            listed(&others, "it has the security options")
        });
        self.check("privileged", is.privileged.as_ref(), |is| is.then(|| "it is privileged".into()));
        self.check("init", is.init.as_ref(), |is| (!is).then(|| "it has no init process".into()));
        let limits = [("memory limit", is.memory), ("processor limit", is.nano_cpus), ("limit on processes", is.pids)];
        for (what, limit) in limits {
            self.check(what, limit.as_ref(), |limit| (*limit <= 0).then(|| format!("it has no {what}")));
        }
        self.check("swap", is.memory_and_swap.as_ref(), |both| {
            let has_swap = |memory: i64| memory > 0 && (*both <= 0 || *both > memory);
            is.memory.is_some_and(has_swap).then(|| "it may swap".into())
        });
        self.check("namespaces", is.namespaces.as_ref(), |namespaces| {
            let shared = |mode: &String| mode == "host" || mode.starts_with("container:");
            let shared: Vec<String> = namespaces
                .iter()
                .filter(|(_, mode)| shared(mode))
                .map(|(name, mode)| format!("{name} ({mode})"))
                .collect();
            listed(&shared, "it shares namespaces:")
        });
        self.check("ports", is.ports.as_ref(), |ports| listed(ports, "it has ports on the host:"));
        self.check("devices", is.devices.as_ref(), |devices| listed(devices, "it has devices of the host:"));
        self.check("mounts", is.host_paths.as_ref(), |paths| listed(paths, "it has paths of the host:"));
        self.check("log", is.log.as_ref(), |log| {
            (!log.is_bounded).then(|| format!("its log, kept by {}, is unbounded", log.name))
        });
    }

    /// What its own declaration adds to the baseline.
    fn declared(&mut self, is: &InForce, blueprint: &Blueprint) {
        let user = &blueprint.user;
        self.check("user", is.user.as_ref(), |is| {
            (is != user && !is_root(is)).then(|| format!("it runs as {is}, not as {user}"))
        });
        let memory = |bytes: i64| Memory(bytes.unsigned_abs()).to_string();
        let cpus = |nano: i64| Cpus(nano.unsigned_abs()).to_string();
        let plain = |number: i64| number.to_string();
        self.limit("memory limit", is.memory, blueprint.memory, memory);
        self.limit("processor limit", is.nano_cpus, blueprint.nano_cpus, cpus);
        self.limit("limit on processes", is.pids, blueprint.pids.into(), plain);
        if blueprint.read_only_root {
            self.check("root", is.read_only_root.as_ref(), |is| {
                (!is).then(|| "its root file system is writable".into())
            });
        }
        self.check("mounts", is.volumes.as_ref(), |volumes| {
            let others = volumes.iter().filter(|name| **name != blueprint.volume && !is_anonymous(name));
            listed(&others.cloned().collect::<Vec<_>>(), "it has volumes that are not its own:")
        });
        self.check("mounts", is.volume_at.as_ref(), |volumes| {
            // Its own volume may be mounted at several paths, and rendered files have volumes of their own.
            let is_declared = |path: &String, name: &String| {
                *name == blueprint.volume || *path == blueprint.data || blueprint.folders.contains(path)
            };
            let others = volumes.iter().filter(|(path, name)| !is_declared(path, name) && is_anonymous(name));
            let others: Vec<String> = others.map(|(path, _)| path.clone()).collect();
            listed(&others, "what it writes to these paths is lost with it, since its image declares volumes there:")
        });
        self.check("labels", is.proxy_labels.as_ref(), |labels| {
            let others: Vec<String> =
                labels.keys().filter(|key| !blueprint.labels.contains_key(*key)).cloned().collect();
            listed(&others, "it has labels for the proxy that are not declared, perhaps from its image:")
        });
    }

    /// A missing limit was already reported with the baseline.
    fn limit(&mut self, what: &'static str, is: Option<i64>, expected: u64, format_value: impl Fn(i64) -> String) {
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        self.check(what, is.as_ref(), |is| {
            (*is > 0 && *is != expected)
                .then(|| format!("its {what} is {}, not {}", format_value(*is), format_value(expected)))
        });
    }
}

fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    name.is_empty() || name == "root" || name.parse() == Ok(0)
}

fn forbids_privileges(option: &str) -> bool {
    matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
}

fn listed(things: &[String], format_value: &str) -> Option<String> {
    (!things.is_empty()).then(|| format!("{format_value} {}", things.join(", ")))
}
