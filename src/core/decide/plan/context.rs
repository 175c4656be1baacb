//! The inputs of the decision about one pod, and the pieces that decisions are made of.

use time::OffsetDateTime;

use super::{Action, Allowance, Cause, Decision, Hold, PodState, Step, TooManyRemovals, hosts::Hosts};
use crate::core::{
    decide::{request::OpenRequest, retry::Retry},
    declare::desired::DesiredPod,
    observe::actual::ObservedContainer,
};

/// The inputs of the decision about one pod.
pub(crate) struct PodContext<'a> {
    pub desired: Option<&'a DesiredPod>,
    pub observed: &'a [ObservedContainer],
    pub state: &'a PodState,
    pub now: OffsetDateTime,
    pub removal_grace: time::Duration,
    /// Permission to remove it.
    pub allowed: Option<&'a Allowance>,
    /// Who approved its removal in this round.
    pub approved_by: Option<&'a String>,
    /// Why its removal is held.
    pub held: Option<&'a TooManyRemovals>,
    /// The requested restart.
    pub restart: Option<&'a OpenRequest>,
    /// Why it starts again after a pause.
    pub resumed: Option<&'a Cause>,
    /// Which pod serves which host name.
    pub hosts: &'a Hosts<'a>,
}

impl PodContext<'_> {
    /// The failure of the last attempt at the current target.
    pub fn retry(&self) -> Option<&Retry> {
        self.state.retry.as_ref().filter(|retry| retry.target == self.state.target(self.desired))
    }

    /// Whether a restart is requested and was not attempted yet.
    pub fn has_new_restart(&self) -> bool {
        self.restart.is_some_and(|requests| self.state.restart.as_ref().is_none_or(|last| last.request != requests.id))
    }
}

pub(crate) fn secrets_missing(desired: &DesiredPod) -> Decision {
    Decision::Hold(Hold::SecretsMissing(desired.missing_secrets.clone()))
}

pub(crate) fn act(cause: Cause, steps: Vec<Step>) -> Decision {
    Decision::Act(Action { cause, verdict: None, steps })
}

pub(crate) fn stop_live<'a>(containers: impl IntoIterator<Item = &'a ObservedContainer>) -> Vec<Step> {
    containers
        .into_iter()
        .filter(|container| container.is_live())
        .map(|container| Step::Stop(container.name.clone()))
        .collect()
}

pub(crate) fn remove<'a>(containers: impl IntoIterator<Item = &'a ObservedContainer>) -> Vec<Step> {
    containers.into_iter().map(|container| Step::Remove(container.name.clone())).collect()
}
