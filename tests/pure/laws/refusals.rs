//! An engine that refuses a step of the new container, for as long as it is asked: the container from before goes on,
//! the status says why, and the tenant does not pay for every new try.

use agentpod::{
    core::{
        decide::plan::Decision,
        names::PodId,
        observe::actual::{ContainerState, Exit},
        report::{
            phase::Phase,
            status::{self, Status},
        },
    },
    engine::Engine,
};
use time::Duration;

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, block_on, by_pod},
};

fn id() -> PodId {
    "t/a".parse().unwrap()
}

fn digest_and_name(mode: char) -> (agentpod::core::digest::Digest, String, String) {
    let pod = build(&[running("a", mode, 'g')]).pods.remove(&id()).unwrap();
    (pod.container.digest, pod.container.name, pod.container.blueprint.volume)
}

fn status(harness: &Harness) -> Status {
    let seen = by_pod(block_on(harness.engine.observe()).unwrap());
    let containers = seen.get(&id()).cloned().unwrap_or_default();
    let decision = harness.plans.last().unwrap().pods[&id()].clone();
    status::status(harness.desired.pods.get(&id()), &containers, &decision, &harness.states[&id()], harness.now)
}

fn runs(harness: &Harness) -> Vec<String> {
    let live = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
    let world = harness.engine.world();
    world.containers.iter().filter(|(_, c)| live(&c.state)).map(|(name, _)| name.clone()).collect()
}

/// Mode `x` ran, stopped or not, and mode `m` is wished, which is there already, or not.
fn harness(before: ContainerState, wished: Option<ContainerState>) -> Harness {
    let harness = Harness::new(build(&[running("a", 'm', 'g')]));
    let (digest, _, volume) = digest_and_name('x');
    let labels = harness.desired.pods[&id()].volume.labels.clone();
    harness.engine.world().volumes.insert(volume.clone(), labels);
    harness.engine.place(&id(), &digest, &volume, before);
    if let Some(wished) = wished {
        harness.engine.place(&id(), &digest_and_name('m').0, &volume, wished);
    }
    harness
}

#[test]
fn whatever_step_of_the_new_container_is_refused_for_good_the_one_before_runs_two_rounds_later_and_stays() {
    let up = || ContainerState::Running { since: None };
    let down = || ContainerState::Exited(Exit::default());
    let (_, new, _) = digest_and_name('m');
    let (_, old, _) = digest_and_name('x');
    for refused in
        ["pull agentpod/echo:1".into(), format!("create {new}"), format!("upload {new}"), format!("start {new}")]
    {
        for before in [up(), down()] {
            for wished in [None, Some(ContainerState::Created), Some(down())] {
                let situation = format!("{refused} refused, {before:?}, {wished:?}");
                let tried = wished.is_none() || !(refused.starts_with("pull") || refused.starts_with("create"));
                let mut harness = harness(before.clone(), wished);
                harness.engine.world().refused.insert(refused.clone());
                harness.round(usize::MAX);
                harness.round(usize::MAX);
                if !tried {
                    continue;
                }
                assert_eq!(runs(&harness), [&*old], "{situation}: after two rounds");
                for round in 0..120 {
                    // Never down for longer than the round that tries and the one that goes back.
                    harness.now += Duration::seconds(15);
                    harness.round(usize::MAX);
                    if runs(&harness).is_empty() {
                        harness.round(usize::MAX);
                    }
                    assert_eq!(runs(&harness), [&*old], "{situation}: after {round} rounds");
                }
                harness.round(usize::MAX);
                let said = status(&harness);
                assert!(matches!(said.phase, Phase::Held | Phase::RolledBack), "{situation}: {said:?}");
                assert!(said.ready && said.container.as_deref() == Some(&*old), "{situation}: {said:?}");
                assert!(said.message.contains(&format!("injected: {refused}")), "{situation}: {said:?}");
                let stops =
                    harness.engine.world().writes.iter().filter(|write| **write == format!("stop {old}")).count();
                assert!(stops <= 2, "{situation}: stopped {stops} times");
            }
        }
    }
}

#[test]
fn a_change_that_is_refused_at_its_start_once_is_tried_again_and_a_second_time_given_up() {
    let (_, new, _) = digest_and_name('m');
    let (_, old, _) = digest_and_name('x');
    let up = || ContainerState::Running { since: None };
    let mut once = harness(up(), None);
    once.engine.world().refused.insert(format!("start {new}"));
    once.round(usize::MAX);
    once.round(usize::MAX);
    assert_eq!(runs(&once), [&*old]);
    once.round(usize::MAX);
    let said = status(&once);
    assert_eq!((said.phase, said.reason.as_str(), said.ready), (Phase::Held, "StepFailed", true), "{said:?}");
    assert!(said.message.ends_with("its previous container runs until then"), "{said:?}");
    once.engine.world().refused.clear();
    once.settle();
    assert_eq!(runs(&once), [&*new]);

    let mut twice = harness(up(), None);
    twice.engine.world().refused.insert(format!("start {new}"));
    twice.settle();
    assert_eq!(runs(&twice), [old]);
    let said = status(&twice);
    assert_eq!((said.phase, said.ready), (Phase::RolledBack, true), "{said:?}");
    // Held until the declaration changes, also when the engine would take it now; another one is tried at once.
    twice.engine.world().refused.clear();
    twice.settle();
    assert_eq!(status(&twice).phase, Phase::RolledBack);
    twice.desired = build(&[running("a", 'n', 'g')]);
    twice.settle();
    assert_eq!(runs(&twice), [digest_and_name('n').1]);
}

#[test]
fn when_the_one_before_cannot_be_started_either_both_are_tried_again_with_growing_patience() {
    let (_, new, _) = digest_and_name('m');
    let (_, old, _) = digest_and_name('x');
    let mut harness = harness(ContainerState::Running { since: None }, None);
    harness.engine.world().refused.extend([format!("start {new}"), format!("start {old}")]);
    let mut attempts = 0;
    for _ in 0..600 {
        harness.now += Duration::seconds(1);
        harness.round(usize::MAX);
        let last = harness.plans.last().unwrap();
        attempts += usize::from(matches!(last.pods[&id()], Decision::Act(_)));
    }
    assert!((5..15).contains(&attempts), "{attempts} attempts in ten minutes");
    harness.engine.world().refused.clear();
    harness.settle();
    assert_eq!(runs(&harness).len(), 1);
}

#[test]
fn a_name_taken_during_creation_is_observed_again_at_once_and_only_once() {
    let (_, new, _) = digest_and_name('m');
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    harness.engine.world().taken.insert(new.clone());
    harness.round(usize::MAX);
    assert_eq!(runs(&harness), [""; 0]);
    harness.round(usize::MAX);
    let retry = harness.states[&id()].retry.clone().unwrap();
    assert_eq!((retry.failures, retry.at - harness.now), (2, Duration::seconds(20)), "tried at once, and then in time");
    harness.round(usize::MAX);
    assert!(harness.plans.last().unwrap().is_quiet());
    let mut raced = Harness::new(build(&[running("a", 'm', 'g')]));
    raced.engine.world().taken.insert(new.clone());
    raced.round(usize::MAX);
    raced.engine.world().taken.clear();
    raced.round(usize::MAX);
    assert_eq!(runs(&raced), [new]);
}

#[test]
fn while_a_failed_step_is_tried_again_the_status_keeps_its_cause() {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    harness.engine.world().refused.insert("pull agentpod/echo:1".into());
    for _ in 0..60 {
        harness.round(usize::MAX);
        if harness.states[&id()].retry.is_none() {
            continue;
        }
        let said = status(&harness).pulling("agentpod/echo:1", false);
        let acts = matches!(harness.plans.last().unwrap().pods[&id()], Decision::Act(_));
        assert_eq!((said.phase, said.reason.as_str()), (Phase::Held, "StepFailed"), "acting: {acts}, {said:?}");
        assert!(said.message.contains("injected: pull agentpod/echo:1"), "{said:?}");
        harness.now += Duration::seconds(5);
    }
}

#[test]
fn a_paused_or_disconnected_container_is_not_ready() {
    let wish: DesiredCase = running("a", 'm', 'g');
    let mut harness = Harness::new(build(&[wish]));
    harness.settle();
    assert!(status(&harness).ready);
    let (_, name, _) = digest_and_name('m');
    let state = harness.engine.world().containers[&name].state.clone();
    let set = |harness: &Harness, state: ContainerState| {
        harness.engine.world().containers.get_mut(&name).unwrap().state = state;
    };
    set(&harness, ContainerState::Paused);
    harness.round(usize::MAX);
    let paused = status(&harness);
    assert_eq!((paused.phase, paused.reason.as_str(), paused.ready), (Phase::Held, "PausedByHand", false));
    set(&harness, state);
    harness.engine.world().containers.get_mut(&name).unwrap().networks.clear();
    let healed = harness.round(0);
    let cut_off = status(&harness);
    assert_eq!((cut_off.phase, cut_off.reason.as_str(), cut_off.ready), (Phase::Unhealthy, "OffNetwork", false));
    assert_eq!(healed, 4, "stop, network, attach, start");
    harness.settle();
    assert!(status(&harness).ready);
}

#[test]
fn a_change_that_cannot_be_pulled_is_not_tried_more_often_because_the_container_before_it_runs_well() {
    let mut harness = harness(ContainerState::Running { since: None }, None);
    harness.engine.world().refused.insert("pull agentpod/echo:1".into());
    let mut attempts = 0;
    for _ in 0..3600 {
        harness.now += Duration::seconds(1);
        attempts += usize::from(harness.round(usize::MAX) > 0);
    }
    assert!((10..20).contains(&attempts), "{attempts} attempts in an hour");
}
