//! The limit on removals: how many pods may go within ten minutes before a person has approved exactly these. May only
//! hold or allow; what is then done about a pod is decided in `decide`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::{Allowance, FleetState};
use crate::core::{
    decide::request::{EndedRequest, HASH_LENGTH, RequestSpec},
    declare::desired::Desired,
    digest::Digest,
    names::PodId,
    observe::actual::ObservedContainer,
};

/// How long no further pod may be removed from the manifests before removals are carried out. A writer that pauses for a
/// moment, and a folder that loses its files one by one, are then counted as a whole.
pub const REMOVAL_SETTLE: Duration = Duration::seconds(5);
/// How long removals settle at most, however often further ones follow.
const MAX_SETTLE: Duration = Duration::minutes(1);
/// Removals this long before another one count together with it.
const WINDOW: Duration = Duration::minutes(10);

/// How many pods may be removed at once without approval. Removals are held when they exceed both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RemovalLimit {
    /// Pods.
    pub count: usize,
    /// Percent of all pods.
    pub percent: usize,
}

impl Default for RemovalLimit {
    fn default() -> Self {
        Self { count: 3, percent: 20 }
    }
}

impl RemovalLimit {
    /// Whether it is exceeded by `removals` of `all` pods.
    pub fn is_exceeded(self, removals: usize, all: usize) -> bool {
        removals > self.count && removals.saturating_mul(100) > self.percent.saturating_mul(all)
    }
}

/// Why removals are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TooManyRemovals {
    /// The hash of exactly these pods and this revision.
    pub plan: String,
    /// How many are held.
    pub(crate) held: usize,
    /// How many were allowed in the ten minutes before.
    pub(crate) before: usize,
    /// How many pods there would be without removals.
    pub(crate) all: usize,
    /// The limit they exceed.
    pub(crate) limit: RemovalLimit,
}

/// All removals that are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldRemovals {
    /// The pods.
    pub(crate) pods: BTreeSet<PodId>,
    /// Why.
    #[serde(flatten)]
    pub why: TooManyRemovals,
}

/// Removals that are too recent to be counted.
#[derive(Debug)]
pub(crate) struct SettlingRemovals {
    /// The pods.
    pub(crate) pods: BTreeSet<PodId>,
    /// When they are counted, if no others follow.
    pub(crate) until: OffsetDateTime,
}

/// What this round decided about removals.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// Those allowed in this round.
    pub(crate) allowed: BTreeMap<PodId, Allowance>,
    /// Those to be decided on a little later.
    pub(crate) settling: Option<SettlingRemovals>,
    /// Who approved them, if they were held.
    pub(crate) approved_by: Option<String>,
    /// Those held.
    pub(crate) held: Option<HeldRemovals>,
    /// The approvals that ended.
    pub(crate) ended: Vec<EndedRequest>,
}

/// Allows or holds every new removal, and answers every approval.
pub(crate) fn decide(
    desired: &Desired,
    observed: &BTreeMap<PodId, Vec<ObservedContainer>>,
    state: &FleetState,
) -> Removals {
    let FleetState { now, revision, removals: limit, pods, .. } = state;
    let undeclared = |id: &PodId| !desired.pods.contains_key(id);
    let is_fresh = |id: &PodId| {
        pods.get(id)
            .is_some_and(|pod_state| pod_state.undeclared_since.is_some() && pod_state.removal_allowed.is_none())
    };
    let fresh: BTreeSet<PodId> = observed
        .iter()
        .filter(|(id, containers)| !containers.is_empty() && undeclared(id) && is_fresh(id))
        .map(|(id, _)| id.clone())
        .collect();
    let since = |id: &PodId| pods.get(id).and_then(|pod_state| pod_state.undeclared_since);
    let (first, last) = (fresh.iter().filter_map(since).min(), fresh.iter().filter_map(since).max());
    // Containers may show up in several rounds, so earlier removals by the revision count, however long ago. Those by others
    // count from ten minutes before the first that is decided on now: what is held once does not lapse by waiting.
    let counts = |allowed: &Allowance| {
        allowed.revision.as_ref() == Some(revision) || first.is_some_and(|first| allowed.at > first - WINDOW)
    };
    let before = pods
        .iter()
        .filter(|(id, pod_state)| undeclared(id) && pod_state.removal_allowed.as_ref().is_some_and(counts))
        .count();
    let all = desired.pods.len() + before + fresh.len();
    let mut removals = Removals::default();
    let allow = |fresh: BTreeSet<PodId>| -> BTreeMap<PodId, Allowance> {
        let allowance = Allowance { at: *now, revision: Some(revision.clone()) };
        fresh.into_iter().map(|id| (id, allowance.clone())).collect()
    };
    let until = first.zip(last).map(|(first, last)| (last + state.removal_settle).min(first + MAX_SETTLE));
    if let Some(until) = until.filter(|until| *until > *now) {
        removals.settling = Some(SettlingRemovals { pods: fresh, until });
    } else if fresh.is_empty() || !limit.is_exceeded(before + fresh.len(), all) {
        removals.allowed = allow(fresh);
    } else {
        let why = TooManyRemovals { plan: hash(&fresh, revision), held: fresh.len(), before, all, limit: *limit };
        removals.held = Some(HeldRemovals { pods: fresh, why });
    }
    for open in &state.requests {
        let RequestSpec::Approve { plan } = &open.request.what else { continue };
        if open.expires_at.is_some_and(|at| at <= *now) {
            removals.ended.push(open.refused("it expired before AgentPod could act on it"));
            continue;
        }
        match removals.held.take_if(|held| held.why.plan == *plan) {
            Some(held) => {
                let names: Vec<String> = held.pods.iter().map(ToString::to_string).collect();
                removals.ended.push(open.done(format!("removing {}", names.join(", "))));
                removals.approved_by = Some(open.request.actor.clone());
                removals.allowed = allow(held.pods);
            }
            None => {
                let why = match &removals.held {
                    None if removals.settling.is_some() => {
                        "the removals changed a moment ago; see agentpod plan, and approve again".to_owned()
                    }
                    Some(held) => format!(
                        "that plan is not held; plan {} is, with {} removals: see agentpod plan",
                        held.why.plan, held.why.held
                    ),
                    None => "there is nothing to approve: no removals are held".into(),
                };
                removals.ended.push(open.refused(why));
            }
        }
    }
    removals
}

/// Another set of pods, or another revision, is another plan.
fn hash(pods: &BTreeSet<PodId>, revision: &str) -> String {
    Digest::of(&("removals", revision, pods)).as_str().chars().take(HASH_LENGTH).collect()
}
