//! Volumes and networks that the engine lists, as observed.

use std::collections::BTreeSet;

use bollard::models::{Network, Volume};

use crate::core::{
    labels,
    names::PodId,
    observe::actual::{ObservedNetwork, ObservedVolume},
};

/// A volume from a list; `unused` names those that no container uses.
pub(crate) fn volume(volume: Volume, unused: &BTreeSet<String>) -> ObservedVolume {
    ObservedVolume {
        in_use: !unused.contains(&volume.name),
        pod: volume.labels.get(labels::POD_ID).and_then(|key| PodId::from_key(key)),
        created_at: volume.created_at,
        name: volume.name,
    }
}

/// A network from a list.
pub(crate) fn network(network: Network) -> ObservedNetwork {
    ObservedNetwork { name: network.name.unwrap_or_default(), created_at: network.created }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_says_whose_it_is_when_it_was_made_and_whether_a_container_has_it() {
        let json = r#"{"Name":"mine_alice_a","Driver":"local","Mountpoint":"/x","CreatedAt":"2026-11-23T10:00:00+01:00","Scope":"local",
            "Labels":{"agentpod.pod-id":"alice_a","agentpod.instance":"mine"},"Options":null}"#;
        let listed: Volume = serde_json::from_str(json).unwrap();
        let seen = volume(listed.clone(), &BTreeSet::new());
        assert_eq!((seen.pod.unwrap().to_string(), seen.in_use), ("alice/a".into(), true));
        assert_eq!(seen.created_at.unwrap().unix_timestamp(), 1_795_424_400);
        assert!(!volume(listed.clone(), &BTreeSet::from(["mine_alice_a".into()])).in_use);
        let labels = [("agentpod.pod-id".to_owned(), "nonsense".to_owned())].into();
        assert_eq!(volume(Volume { labels, ..listed }, &BTreeSet::new()).pod, None);
    }
}
