//! One host name never leads to two pods, whatever pods do with their subdomains, after every step and every death.

use std::collections::BTreeMap;

use agentpod::core::{
    decide::plan::{Cause, Decision, Hold},
    labels,
    observe::actual::ContainerState,
};
use time::Duration;

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, unsatisfied},
};

fn at(name: &'static str, subdomain: &'static str, mode: char) -> DesiredCase {
    DesiredCase { subdomain: Some(subdomain), ..running(name, mode, 'g') }
}

fn at_rest(wanted: &[DesiredCase]) -> Harness {
    let mut harness = Harness::new(build(wanted));
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    harness
}

/// The running containers by the rule that leads to them; fails if two are at one.
fn answering(harness: &Harness) -> BTreeMap<String, String> {
    let world = harness.engine.world();
    let mut found = BTreeMap::new();
    for (name, container) in &world.containers {
        let labels = container.in_force.as_ref().and_then(|in_force| in_force.proxy_labels.as_ref()).unwrap();
        if matches!(container.state, ContainerState::Running { .. }) {
            for rule in labels::rules(labels) {
                if let Some(other) = found.insert(rule.to_owned(), name.clone()) {
                    panic!("{rule} leads to {other} and {name}");
                }
            }
        }
    }
    assert!(!found.is_empty(), "something answers");
    found
}

/// Rounds of one step each, with a look after each.
fn step_by_step(harness: &mut Harness) {
    for _ in 0..60 {
        harness.round(1);
        answering(harness);
        harness.now += Duration::seconds(1);
    }
}

#[test]
fn a_pod_takes_over_a_subdomain_when_the_one_before_has_left_it() {
    let mut harness = at_rest(&[running("a", 'm', 'g'), running("b", 'm', 'g')]);
    harness.desired = build(&[at("a", "b", 'm'), at("b", "fresh", 'm')]);
    harness.round(1);
    let waits = Decision::Hold(Hold::SubdomainTaken("t/b".parse().unwrap()));
    assert_eq!(harness.plans.last().unwrap().pods[&"t/a".parse().unwrap()], waits);
    step_by_step(&mut harness);
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    assert!(answering(&harness)["Host(`b.example.com`)"].starts_with("t_a-"));
}

#[test]
fn pods_that_trade_subdomains_make_room_one_after_the_other_and_one_of_them_begins() {
    for wanted in [
        vec![at("a", "b", 'm'), at("b", "a", 'm'), running("c", 'm', 'g')],
        vec![at("a", "b", 'm'), at("b", "c", 'm'), at("c", "a", 'm')],
        vec![at("a", "c", 'm'), at("b", "a", 'm'), at("c", "b", 'm')],
    ] {
        let mut harness = at_rest(&[running("a", 'm', 'g'), running("b", 'm', 'g'), running("c", 'm', 'g')]);
        harness.desired = build(&wanted);
        let others = wanted.iter().filter(|one| one.subdomain.is_some()).count() - 1;
        harness.round(0);
        let plan = harness.plans.last().unwrap();
        let begin = |decision: &&Decision| matches!(decision, Decision::Act(action) if matches!(action.cause, Cause::YieldsSubdomain(_)));
        assert_eq!(plan.pods.values().filter(begin).count(), 1, "{plan}");
        let wait = |decision: &&Decision| matches!(decision, Decision::Hold(Hold::SubdomainTaken(_)));
        assert_eq!(plan.pods.values().filter(wait).count(), others, "{plan}");
        step_by_step(&mut harness);
        harness.settle();
        assert_eq!(unsatisfied(&harness), None);
        assert_eq!(answering(&harness).len(), 3);
    }
}

#[test]
fn a_pod_does_not_go_back_to_a_container_whose_host_name_is_anothers_now() {
    let mut harness = at_rest(&[running("a", 'm', 'g'), running("b", 'm', 'g')]);
    harness.desired = build(&[at("a", "b", 'm'), at("b", "fresh", 'n')]);
    let digest = harness.desired.pods[&"t/b".parse().unwrap()].container.digest.clone();
    harness.never_ready.insert(digest.clone());
    step_by_step(&mut harness);
    for _ in 0..20 {
        harness.now += Duration::minutes(1);
        harness.round(usize::MAX);
        answering(&harness);
    }
    assert!(answering(&harness)["Host(`b.example.com`)"].starts_with("t_a-"));
    let new = answering(&harness)["Host(`fresh.example.com`)"].clone();
    assert_eq!(harness.engine.world().containers[&new].digest, digest, "it goes on with what it has, and says so");
}
