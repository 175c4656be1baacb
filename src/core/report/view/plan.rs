//! What a round decided, in the words of `agentpod plan`, as stored for the API and the pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::{
    decide::plan::{Action, Decision, Hold},
    declare::infra::InfraId,
    names::PodId,
};

/// What the last round decided about a pod, in the words of `agentpod plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanLine {
    /// `settled`, `act` or `hold`.
    pub decision: String,
    /// Why: the cause of its steps, or what holds it. Empty when settled.
    pub(crate) why: String,
    /// The steps in order.
    pub steps: Vec<String>,
}

/// What a round did about one pod, or about one item that belongs to no pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionLine {
    /// `tenant/pod`, or `network NAME`.
    pub item: String,
    /// The pod, if it is one.
    pub pod: Option<PodId>,
    /// Why.
    pub cause: String,
    /// The steps in order.
    pub steps: Vec<String>,
}

impl PlanLine {
    /// A decision as text; `None` while an earlier one is being carried out.
    pub fn of(decision: &Decision) -> Option<Self> {
        let line = |decision: &str, why: String, steps| Some(Self { decision: decision.into(), why, steps });
        match decision {
            Decision::Settled => line("settled", String::new(), Vec::new()),
            Decision::Hold(Hold::Busy) => None,
            Decision::Hold(hold) => line("hold", hold.to_string(), Vec::new()),
            Decision::Act(action) => line("act", action.cause.to_string(), steps(action)),
        }
    }
}

impl ActionLine {
    /// A pod's action as text.
    pub fn of(pod: &PodId, action: &Action) -> Self {
        let (item, cause) = (pod.to_string(), action.cause.to_string());
        Self { item, pod: Some(pod.clone()), cause, steps: steps(action) }
    }

    /// The action of an item that belongs to no pod, as text.
    pub(crate) fn of_infra(id: &InfraId, action: &Action) -> Self {
        Self { item: id.to_string(), pod: None, cause: action.cause.to_string(), steps: steps(action) }
    }
}

fn steps(action: &Action) -> Vec<String> {
    action.steps.iter().map(ToString::to_string).collect()
}
