//! Items that belong to no pod: created when they are missing, retried when that fails, left alone otherwise.

use std::collections::BTreeMap;

use agentpod::core::{
    decide::{
        plan::{ActionFailure, Decision, FleetState, InfraState, MaxUnavailable, Plan, Presence, Step, plan},
        retry::FIRST,
    },
    declare::{
        desired::Desired,
        infra::{InfraId, InfraSpec, NetworkSpec},
    },
    observe::actual::Actual,
};
use time::{Duration, OffsetDateTime};

use super::{
    fleet::{build, running},
    harness::NO_LIMIT,
};

const NOON: OffsetDateTime = time::macros::datetime!(2026-11-26 12:00 UTC);

fn network(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.into(),
        subnet: "10.1.0.0/24".into(),
        pool: "10.1.0.128/25".into(),
        mtu: None,
        labels: BTreeMap::new(),
    }
}

fn id(name: &str) -> InfraId {
    InfraId::Network(name.into())
}

fn with(presence: Presence) -> InfraState {
    InfraState { presence, ..InfraState::present() }
}

fn decide(desired: &Desired, infra: BTreeMap<InfraId, InfraState>, now: OffsetDateTime) -> Plan {
    let state = FleetState {
        now,
        removal_grace: Duration::minutes(10),
        removal_settle: Duration::ZERO,
        removals: NO_LIMIT,
        max_unavailable: MaxUnavailable(100),
        revision: "r1".into(),
        requests: Vec::new(),
        pods: BTreeMap::new(),
        infra,
    };
    plan(desired, &Actual::Observed(BTreeMap::new()), &state)
}

#[test]
fn a_missing_network_is_created_although_no_pod_needs_a_step() {
    let desired = build(&[]);
    let plan = decide(&desired, [(id("agentpod-net"), with(Presence::Missing))].into(), NOON);
    assert_eq!(
        plan.to_string(),
        "network agentpod-net: it does not exist
  create network agentpod-net unless it exists
1 to change, 0 held, 0 as declared"
    );
    assert!(!plan.is_quiet());
    assert!(decide(&desired, [(id("agentpod-net"), with(Presence::Present))].into(), NOON).is_quiet());
}

#[test]
fn an_item_that_cannot_be_observed_is_left_alone() {
    let desired = build(&[]);
    for infra in [BTreeMap::new(), [(id("agentpod-net"), with(Presence::Unknown("no answer".into())))].into()] {
        let plan = decide(&desired, infra, NOON);
        assert!(plan.is_quiet() && matches!(plan.infra[&id("agentpod-net")], Decision::Hold(_)), "{plan}");
    }
}

#[test]
fn a_failed_item_is_retried_later_and_not_before() {
    let desired = build(&[]);
    let mut state = with(Presence::Missing);
    state.busy = true;
    let at = |state: &InfraState, now| decide(&desired, [(id("agentpod-net"), state.clone())].into(), now);
    assert!(at(&state, NOON).is_quiet(), "while its steps are under way");
    let failure = ActionFailure::from("its addresses are taken".to_owned());
    state.finish(Err(&failure), NOON, 0.5);
    let held = at(&state, NOON + Duration::seconds(1));
    assert!(held.is_quiet() && held.to_string().contains("its addresses are taken"), "{held}");
    assert!(!at(&state, NOON + FIRST).is_quiet());
    state.finish(Ok(()), NOON, 0.5);
    assert_eq!(state.retry, None);
}

#[test]
fn two_networks_can_be_planned_and_each_pods_steps_carry_the_network_it_is_on() {
    let mut desired = build(&[running("a", 'm', 'g'), running("b", 'm', 'g')]);
    let (one, two) = (network("one"), network("two"));
    desired.infra = vec![InfraSpec::Network(one.clone()), InfraSpec::Network(two.clone())];
    for (name, network) in [("t/a", &one), ("t/b", &two)] {
        desired.pods.get_mut(&name.parse().unwrap()).unwrap().network = network.clone();
    }
    let missing = || with(Presence::Missing);
    let plan = decide(&desired, [(id("one"), missing()), (id("two"), missing())].into(), NOON);
    let created: Vec<&Step> = plan.infra_actions().flat_map(|(_, action)| &action.steps).collect();
    assert_eq!(created, [&Step::Network(one.clone()), &Step::Network(two.clone())]);
    for (name, network) in [("t/a", one), ("t/b", two)] {
        let steps = &plan.pods[&name.parse().unwrap()].action().unwrap().steps;
        assert!(steps.contains(&Step::Network(network)), "{name}: {steps:?}");
    }
}
