//! What changes for each pod from one desired state to another: what people want to know before they read a diff of files.
//! Says nothing about what runs; the plan does.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::core::{
    declare::{
        desired::{Desired, DesiredPod},
        manifest::RunState,
    },
    names::PodId,
};

/// What becomes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PodChange {
    /// It is declared for the first time.
    Added,
    /// It is no longer declared.
    Removed,
    /// It was declared stopped and is now declared running.
    Started,
    /// It was declared running and is now declared stopped.
    Stopped,
    /// It needs another container.
    Replaced,
    /// Only files change that its agent reloads by itself; its container stays.
    Uploaded,
}

impl fmt::Display for PodChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "is added",
            Self::Removed => "is removed; its data is kept",
            Self::Started => "is started",
            Self::Stopped => "is stopped",
            Self::Replaced => "gets a new container",
            Self::Uploaded => "gets changed files and keeps its container",
        })
    }
}

/// Every pod that changes. Both sides must be built with the same fingerprints of secrets, or with none.
pub(crate) fn changes(before: &Desired, after: &Desired) -> BTreeMap<PodId, PodChange> {
    let removed =
        before.pods.keys().filter(|id| !after.pods.contains_key(*id)).map(|id| (id.clone(), PodChange::Removed));
    let others = after.pods.iter().filter_map(|(id, pod)| Some((id.clone(), change(before.pods.get(id), pod)?)));
    removed.chain(others).collect()
}

fn change(before: Option<&DesiredPod>, after: &DesiredPod) -> Option<PodChange> {
    let Some(before) = before else { return Some(PodChange::Added) };
    // Without fingerprints a secret that moved shows only here.
    let replaced =
        before.container.digest != after.container.digest || before.declared.secrets != after.declared.secrets;
    match (before.declared.state, after.declared.state) {
        (RunState::Stopped, RunState::Running) => Some(PodChange::Started),
        (RunState::Running, RunState::Stopped) => Some(PodChange::Stopped),
        _ if replaced => Some(PodChange::Replaced),
        _ if before.hot != after.hot => Some(PodChange::Uploaded),
        _ => None,
    }
}
