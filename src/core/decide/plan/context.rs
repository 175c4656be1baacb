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
    pub(crate) desired: Option<&'a DesiredPod>,
    pub(crate) observed: &'a [ObservedContainer],
    pub(crate) state: &'a PodState,
    pub(crate) now: OffsetDateTime,
    pub(crate) removal_grace: time::Duration,
    /// Permission to remove it.
    pub(crate) allowed: Option<&'a Allowance>,
    /// Who approved its removal in this round.
    pub(crate) approved_by: Option<&'a String>,
    /// When its removal is carried out, if it still settles.
    pub(crate) settles: Option<OffsetDateTime>,
    /// Why its removal is held.
    pub(crate) held: Option<&'a TooManyRemovals>,
    /// The requested restart.
    pub(crate) restart: Option<&'a OpenRequest>,
    /// Why it starts again after a pause.
    pub(crate) resumed: Option<&'a Cause>,
    /// Which pod serves which host name.
    pub(crate) hosts: &'a Hosts<'a>,
}

impl PodContext<'_> {
    /// The failure of the last attempt at the current target.
    pub(crate) fn retry(&self) -> Option<&Retry> {
        self.state.retry.as_ref().filter(|retry| retry.target == self.state.target(self.desired))
    }

    /// Whether a restart is requested and was not attempted yet.
    pub(crate) fn has_new_restart(&self) -> bool {
        self.restart.is_some_and(|request| self.state.restart.as_ref().is_none_or(|last| last.request != request.id))
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
