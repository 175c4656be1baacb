//! What differs between what is declared and what is stored: decided here, without the database, and written by the
//! sync without a choice of its own.

use std::collections::BTreeMap;

use crate::{
    core::{
        declare::desired::{Desired, DesiredPod},
        digest::Digest,
        names::PodId,
    },
    store::{pods::DesiredStatus, storable},
};

/// A pod's row, as far as it is declared.
#[derive(Debug)]
pub(super) struct StoredPod {
    pub id: String,
    pub adapter_id: String,
    pub subdomain: String,
    pub url: String,
    pub desired_status: String,
    pub volume: String,
    pub data_dir: String,
    pub digest: Option<String>,
}

/// One pod that differs.
pub(super) struct Difference<'a> {
    pub id: PodId,
    pub change: RowChange<'a>,
    /// The change as a sentence.
    pub message: String,
}

/// How it differs.
pub(super) enum RowChange<'a> {
    Created(&'a DesiredPod),
    Changed(&'a DesiredPod),
    Returned(&'a DesiredPod),
    Undeclared,
}

/// Every pod that differs.
pub(super) fn differences<'a>(
    desired: &'a Desired,
    stored: &BTreeMap<PodId, StoredPod>,
    reconfigured: &[PodId],
) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    for (id, pod) in &desired.pods {
        let change = match stored.get(id) {
            None => Some((RowChange::Created(pod), format!("declared in {}", pod.declared.file))),
            Some(row) if row.desired_status == DesiredStatus::Deleted.as_str() => Some((
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
        if !desired.pods.contains_key(id) && row.desired_status != DesiredStatus::Deleted.as_str() {
            let message = "not declared any more; its data stays".into();
            found.push(Difference { id: id.clone(), change: RowChange::Undeclared, message });
        }
    }
    found
}

/// What is declared otherwise than before, for people.
fn changes(row: &StoredPod, pod: &DesiredPod, is_reconfigured: bool) -> Vec<String> {
    let declared = &pod.declared;
    let mut what = Vec::new();
    let mut compare = |name: &str, from: &str, to: &str| {
        if from != to {
            what.push(format!("{name} {from} → {to}"));
        }
    };
    compare("state", &row.desired_status, desired_status(pod).as_str());
    compare("adapter", &row.adapter_id, declared.adapter.metadata.name.as_str());
    compare("subdomain", &row.subdomain, declared.subdomain.as_str());
    compare("url", &row.url, &storable(&pod.url));
    compare("data", &row.data_dir, &data_dir(&row.volume, pod));
    if let Some(to) = digest(pod) {
        let from = row.digest.clone().map(Digest::from_label);
        compare("container", from.as_ref().map_or("none", Digest::short), Digest::from_label(to).short());
    }
    if is_reconfigured {
        what.push("settings".into());
    }
    what
}

/// What a declared pod should be doing.
pub(super) fn desired_status(pod: &DesiredPod) -> DesiredStatus {
    DesiredStatus::of(pod.declared.state)
}

/// `VOLUME:PATH`.
pub(super) fn data_dir(volume: &str, pod: &DesiredPod) -> String {
    format!("{volume}:{}", pod.container.blueprint.data)
}

/// The digest of the container it should have. While a secret cannot be read it is not known, and the last one stands:
/// nothing was declared otherwise.
pub(super) fn digest(pod: &DesiredPod) -> Option<&str> {
    pod.missing_secrets.is_empty().then(|| pod.container.digest.as_str())
}
