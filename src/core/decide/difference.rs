//! What differs between what is declared and what is stored of each pod. The sync writes the result without a choice of
//! its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::{
    declare::{
        desired::{Desired, DesiredPod},
        desired_status::DesiredStatus,
    },
    digest::Digest,
    names::PodId,
};

/// What is stored of a pod's declaration.
#[derive(Debug, Clone)]
pub(crate) struct StoredPod {
    /// The adapter's name.
    pub(crate) adapter: String,
    /// The first label of its host name.
    pub(crate) subdomain: String,
    /// Where people reach it.
    pub(crate) url: String,
    /// What it should be doing.
    pub(crate) desired_status: DesiredStatus,
    /// Its volume's name.
    pub(crate) volume: String,
    /// `VOLUME:PATH`.
    pub(crate) data_dir: String,
    /// The digest of its desired container, if its secrets could ever be read.
    pub(crate) digest: Option<Digest>,
}

/// One pod that differs.
#[derive(Debug)]
pub(crate) struct Difference<'a> {
    /// The pod.
    pub(crate) id: PodId,
    /// How it differs.
    pub(crate) change: RowChange<'a>,
    /// The change as a sentence.
    pub(crate) message: String,
}

/// How a pod differs.
#[derive(Debug)]
pub(crate) enum RowChange<'a> {
    /// It is declared for the first time.
    Created(&'a DesiredPod),
    /// Its declaration changed.
    Changed(&'a DesiredPod),
    /// It is declared again.
    Returned(&'a DesiredPod),
    /// It is no longer declared.
    Undeclared,
}

/// Every pod that differs; `reconfigured` are those whose settings do.
pub(crate) fn differences<'a>(
    desired: &'a Desired,
    stored: &BTreeMap<PodId, StoredPod>,
    reconfigured: &BTreeSet<PodId>,
) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    for (id, pod) in &desired.pods {
        let change = match stored.get(id) {
            None => Some((RowChange::Created(pod), format!("declared in {}", pod.declared.file))),
            Some(row) if row.desired_status == DesiredStatus::Deleted => Some((
                RowChange::Returned(pod),
                format!("declared again in {}, with the token and the data it had", pod.declared.file),
            )),
            Some(row) => {
                let what = changes(row, pod, reconfigured.contains(id));
                (!what.is_empty()).then(|| (RowChange::Changed(pod), what.join(", ")))
            }
        };
        found.extend(change.map(|(change, message)| Difference { id: id.clone(), change, message }));
    }
    for (id, row) in stored {
        if !desired.pods.contains_key(id) && row.desired_status != DesiredStatus::Deleted {
            let message = "no longer declared; its data is kept".into();
            found.push(Difference { id: id.clone(), change: RowChange::Undeclared, message });
        }
    }
    found
}

/// Each change of a pod's declaration, for people: `state running → stopped`.
fn changes(row: &StoredPod, pod: &DesiredPod, is_reconfigured: bool) -> Vec<String> {
    let declared = &pod.declared;
    let mut what = Vec::new();
    let mut compare = |name: &str, from: &str, to: &str| {
        if from != to {
            what.push(format!("{name} {from} → {to}"));
        }
    };
    compare("state", row.desired_status.as_str(), DesiredStatus::from(declared.state).as_str());
    compare("adapter", &row.adapter, declared.adapter.metadata.name.as_str());
    compare("subdomain", &row.subdomain, declared.subdomain.as_str());
    compare("url", &row.url, &pod.url);
    compare("data", &row.data_dir, &data_dir(&row.volume, pod));
    if let Some(to) = known_digest(pod) {
        compare("container", row.digest.as_ref().map_or("none", Digest::short), to.short());
    }
    if is_reconfigured {
        what.push("settings".into());
    }
    what
}

/// `VOLUME:PATH`.
pub(crate) fn data_dir(volume: &str, pod: &DesiredPod) -> String {
    format!("{volume}:{}", pod.container.blueprint.data)
}

/// The digest of a pod's desired container. It is not known while a secret cannot be read; then the stored one stands,
/// since nothing was declared otherwise.
pub(crate) fn known_digest(pod: &DesiredPod) -> Option<&Digest> {
    pod.missing_secrets.is_empty().then_some(&pod.container.digest)
}
