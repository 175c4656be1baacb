//! Which changes between two rounds' statuses are worth an event: a pod became ready or unhealthy, or lost its data.

use std::collections::BTreeMap;

use super::{phase::Phase, reason::Reason, status::Status};
use crate::core::names::PodId;

/// A change of a pod's status that is worth an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusChange {
    /// It became ready.
    Ready,
    /// Its phase became [`Phase::Unhealthy`].
    Unhealthy,
    /// Its data volume is gone.
    VolumeGone,
}

/// The changes since the round before, in order of the pods.
pub(crate) fn changes(before: &BTreeMap<PodId, Status>, now: &BTreeMap<PodId, Status>) -> Vec<(PodId, StatusChange)> {
    let mut found = Vec::new();
    for (id, status) in now {
        let was = before.get(id);
        if status.ready && !was.is_some_and(|was| was.ready) {
            found.push((id.clone(), StatusChange::Ready));
        }
        if status.phase == Phase::Unhealthy && was.is_none_or(|was| was.phase != Phase::Unhealthy) {
            found.push((id.clone(), StatusChange::Unhealthy));
        }
        if status.reason == Reason::VolumeGone && was.is_none_or(|was| was.reason != Reason::VolumeGone) {
            found.push((id.clone(), StatusChange::VolumeGone));
        }
    }
    found
}
