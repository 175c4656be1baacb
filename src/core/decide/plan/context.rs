//! What the decision about one pod may look at, and the pieces decisions are made of.

use time::OffsetDateTime;

use super::{Action, Allowance, Cause, Decision, Hold, PodState, Step, TooManyRemovals, hosts::Hosts};
use crate::core::{
    decide::{request::OpenRequest, retry::Retry},
    declare::desired::DesiredPod,
    observe::actual::ObservedContainer,
};

/// Everything the decision about one pod may look at.
pub(crate) struct PodContext<'a> {
    pub desired: Option<&'a DesiredPod>,
    pub observed: &'a [ObservedContainer],
    pub state: &'a PodState,
    pub now: OffsetDateTime,
    pub removal_grace: time::Duration,
    /// That it may be removed.
    pub allowed: Option<&'a Allowance>,
    /// Who has just approved that.
    pub approved_by: Option<&'a String>,
    /// That it may not.
    pub held: Option<&'a TooManyRemovals>,
    /// The restart that somebody asked for.
    pub restart: Option<&'a OpenRequest>,
    /// Why it starts again, if its pause is over.
    pub resumed: Option<&'a Cause>,
    /// Who answers where.
    pub hosts: &'a Hosts<'a>,
}

impl PodContext<'_> {
    /// That the last try at this very wish failed, if it did.
    pub fn retry(&self) -> Option<&Retry> {
        self.state.retry.as_ref().filter(|retry| retry.target == self.state.target(self.desired))
    }

    /// Whether the restart that is asked for was not tried yet.
    pub fn is_asked_anew(&self) -> bool {
        self.restart.is_some_and(|asked| self.state.restart.as_ref().is_none_or(|last| last.request != asked.id))
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
