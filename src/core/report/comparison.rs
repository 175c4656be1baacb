//! What one desired state means against another, pod by pod: what people want to know before they read a diff of files.
//! Says nothing of what runs; that is the plan's business.

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
pub enum PodChange {
    /// It is declared for the first time.
    Added,
    /// It is not declared any more.
    Removed,
    /// It should run and should not before.
    Started,
    /// It should not run any more.
    Stopped,
    /// It needs another container.
    Replaced,
    /// Files change that its agent re-reads by itself; its container stays.
    Uploaded,
}

impl fmt::Display for PodChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "is added",
            Self::Removed => "is removed; its data stays",
            Self::Started => "is started",
            Self::Stopped => "is stopped",
            Self::Replaced => "gets another container",
            Self::Uploaded => "gets changed files, and keeps its container",
        })
    }
}

/// Every pod that is another one after than before. Both sides built with the same secrets' fingerprints, or with none.
pub fn changes(before: &Desired, after: &Desired) -> BTreeMap<PodId, PodChange> {
    let removed =
        before.pods.keys().filter(|id| !after.pods.contains_key(*id)).map(|id| (id.clone(), PodChange::Removed));
    let others = after.pods.iter().filter_map(|(id, pod)| Some((id.clone(), change(before.pods.get(id), pod)?)));
    removed.chain(others).collect()
}

fn change(before: Option<&DesiredPod>, after: &DesiredPod) -> Option<PodChange> {
    let Some(before) = before else { return Some(PodChange::Added) };
    // Without fingerprints a secret that stands elsewhere shows in nothing else.
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
