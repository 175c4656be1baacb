//! What to do about items that belong to no pod: a missing item is created. A failure is retried like a pod's.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Action, ActionFailure, Cause, Decision, FleetState, Hold, Step};
use crate::core::{
    decide::retry::{FailureKind, Retry, RetryTarget},
    declare::infra::{InfraId, InfraSpec},
};

/// Whether an item exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Presence {
    /// The engine did not say, for this reason.
    Unknown(String),
    /// It does not exist.
    Missing,
    /// It exists.
    #[default]
    Present,
}

/// The state of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfraState {
    /// Whether it exists, as of this round.
    pub presence: Presence,
    /// Steps of an earlier plan are still running.
    pub busy: bool,
    /// Its last action failed.
    pub retry: Option<Retry>,
}

impl InfraState {
    /// An item that exists.
    pub fn present() -> Self {
        Self { presence: Presence::Present, busy: false, retry: None }
    }

    /// Records how an action ended.
    pub fn finish(&mut self, outcome: Result<(), &ActionFailure>, now: OffsetDateTime, jitter: f64) {
        self.busy = false;
        self.retry = outcome.err().map(|failure| {
            Retry::after(
                self.retry.as_ref(),
                &RetryTarget::Present,
                failure.why.clone(),
                FailureKind::Step,
                now,
                jitter,
            )
        });
    }
}

/// Decides what to do about every item.
pub(super) fn decide(desired: &[InfraSpec], state: &FleetState) -> BTreeMap<InfraId, Decision> {
    desired.iter().map(|item| (item.id(), decide_one(item, state.infra.get(&item.id()), state.now))).collect()
}

fn decide_one(item: &InfraSpec, state: Option<&InfraState>, now: OffsetDateTime) -> Decision {
    let Some(InfraState { presence, busy, retry }) = state else {
        return Decision::Hold(Hold::Unknown("it has not been observed yet".into()));
    };
    match (presence, retry) {
        _ if *busy => Decision::Hold(Hold::Busy),
        (Presence::Unknown(why), _) => Decision::Hold(Hold::Unknown(why.clone())),
        (Presence::Present, _) => Decision::Settled,
        (Presence::Missing, Some(retry)) if retry.at > now => Decision::Hold(Hold::RetryAt(retry.clone())),
        (Presence::Missing, _) => {
            let step = match item {
                InfraSpec::Network(network) => Step::Network(network.clone()),
            };
            Decision::Act(Action { cause: Cause::ItemMissing, verdict: None, steps: vec![step] })
        }
    }
}
