//! The parts of a blueprint, each with a digest of its own, so that a change can be named: a container carries them as a
//! label, and comparing that with what is declared says what changed.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::desired::Blueprint;
use crate::core::digest::Digest;

/// A part of what a container is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The image.
    Image,
    /// The command, the user, and how it is stopped.
    Process,
    /// Environment variables, without secrets.
    Environment,
    /// Rendered files whose change replaces the container.
    Files,
    /// Values of secrets, the gateway token, and generated secrets.
    Secrets,
    /// Limits on memory, processors and processes.
    Resources,
    /// The volume, where it is mounted, and writable memory.
    Storage,
    /// The network it is attached to.
    Network,
    /// Labels: how the proxy routes to it.
    Routing,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Image,
        Self::Process,
        Self::Environment,
        Self::Files,
        Self::Secrets,
        Self::Resources,
        Self::Storage,
        Self::Network,
        Self::Routing,
    ];

    /// Its stable name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Process => "process",
            Self::Environment => "environment",
            Self::Files => "files",
            Self::Secrets => "secrets",
            Self::Resources => "resources",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Routing => "routing",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first eight hexadecimal digits of each part's digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartDigests(BTreeMap<Part, String>);

impl PartDigests {
    /// Those of a blueprint.
    pub(crate) fn of(blueprint: &Blueprint) -> Self {
        // Named one by one, so that a new field cannot be forgotten.
        let Blueprint {
            image,
            command,
            user,
            environment,
            files,
            folders,
            volume,
            data,
            tmpfs,
            read_only_root,
            memory,
            nano_cpus,
            pids,
            network,
            labels,
            stop_timeout,
            secrets,
            token_version,
            generated_version,
        } = blueprint;
        fn digest(part: Part, value: &impl Serialize) -> (Part, String) {
            (part, Digest::of(value).short().to_owned())
        }
        Self(BTreeMap::from([
            digest(Part::Image, image),
            digest(Part::Process, &(command, user, read_only_root, stop_timeout)),
            digest(Part::Environment, environment),
            digest(Part::Files, &(files, folders)),
            digest(Part::Secrets, &(secrets, token_version, generated_version)),
            digest(Part::Resources, &(memory, nano_cpus, pids)),
            digest(Part::Storage, &(volume, data, tmpfs)),
            digest(Part::Network, network),
            digest(Part::Routing, labels),
        ]))
    }

    /// As a label has them: `image=0123abcd,environment=…`.
    pub(crate) fn to_label(&self) -> String {
        self.0.iter().map(|(part, digest)| format!("{part}={digest}")).collect::<Vec<_>>().join(",")
    }

    /// Those in a label. What another version wrote and this one does not know is left out.
    pub(crate) fn from_label(label: &str) -> Self {
        let read = |entry: &str| {
            let (name, digest) = entry.split_once('=')?;
            let part = Part::ALL.into_iter().find(|part| part.as_str() == name)?;
            Some((part, digest.to_owned()))
        };
        Self(label.split(',').filter_map(read).collect())
    }

    /// The parts that differ from those of an earlier container, as far as both are known.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<Part> {
        let differs = |(part, digest): (&Part, &String)| before.0.get(part).is_some_and(|was| was != digest);
        self.0.iter().filter(|entry| differs(*entry)).map(|(part, _)| *part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::observe::hardening::samples;

    #[test]
    fn a_change_is_named_by_its_part_also_through_a_label() {
        let before = samples::desired().blueprint;
        let label = PartDigests::of(&before).to_label();
        let since = |change: fn(&mut Blueprint)| {
            let mut after = before.clone();
            change(&mut after);
            PartDigests::of(&after).changed_since(&PartDigests::from_label(&label))
        };
        assert_eq!(since(|_| {}), []);
        assert_eq!(since(|after| after.image = "other:2".into()), [Part::Image]);
        assert_eq!(since(|after| after.memory += 1), [Part::Resources]);
        assert_eq!(since(|after| after.token_version += 1), [Part::Secrets]);
        assert_eq!(since(|after| after.generated_version = Some(2)), [Part::Secrets]);
        assert_eq!(since(|after| after.network = "n2".into()), [Part::Network]);
        let both = since(|after| (after.user, after.data) = ("1:1".into(), "/other".into()));
        assert_eq!(both, [Part::Process, Part::Storage]);
    }

    #[test]
    fn a_label_that_says_nothing_names_no_change() {
        let now = PartDigests::of(&samples::desired().blueprint);
        for label in ["", "image", "image=", "future=12,=,x=y=z"] {
            let changed = now.changed_since(&PartDigests::from_label(label));
            assert!(changed.is_empty() || label == "image=", "{label}: {changed:?}");
        }
    }
}
