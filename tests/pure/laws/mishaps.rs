//! What the planner does when something outside went wrong: dead containers, lost volumes, upgrades without a way back, steps
//! that succeed and change nothing.

use agentpod::{
    core::{
        decide::{
            plan::{Decision, Hold, MaxUnavailable, Plan, Presence, Rejected},
            request::RequestSpec,
        },
        names::PodId,
        observe::{
            actual::{ContainerState, Exit},
            health::{Health, Readiness},
        },
    },
    engine::memory::MemoryEngine,
};
use time::Duration;

use super::{
    fleet::{DesiredCase, build, running},
    harness::Harness,
    sentences::{NOON, digest, down, health, name, scene, up},
};

fn declared() -> Option<DesiredCase> {
    Some(running("a", 'm', 'g'))
}

#[test]
fn a_dead_container_is_no_container_of_its_pod_and_does_not_hold_up_another_one() {
    let text = scene(declared(), &[('m', ContainerState::Dead)]).text();
    assert!(text.contains("  create t_a-M-2\n  upload its files into t_a-M-2\n  start t_a-M-2"), "{text}");
    let running = scene(declared(), &[('n', ContainerState::Dead), ('m', up())]);
    let text = running.knowing(|known| known.health = health('m', true, NOON)).text();
    assert_eq!(
        text,
        "t/a: the removal of one of its containers was not finished\n  remove t_a-N; its data volume is kept"
    );
}

#[test]
fn a_dead_container_that_cannot_be_removed_delays_nothing() {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    let id = "t/a".parse().unwrap();
    let pod = &build(&[running("a", 'n', 'g')]).pods[&id];
    let dead = harness.engine.place(&id, &pod.container.digest, &pod.container.blueprint.volume, ContainerState::Dead);
    harness.engine.world().refused.insert(format!("remove {dead}"));
    harness.settle();
    let runs = |engine: &MemoryEngine| {
        let live = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
        engine.world().containers.values().filter(|one| live(&one.state)).count()
    };
    assert_eq!(runs(&harness.engine), 1);
    let current = name('m');
    harness.engine.world().containers.get_mut(&current).unwrap().state = ContainerState::Exited(Exit::default());
    harness.settle();
    assert_eq!(runs(&harness.engine), 1, "it is started again at once");
    assert!(harness.engine.world().containers.contains_key(&dead));
}

#[test]
fn a_pod_whose_data_is_gone_is_not_started_without_it() {
    let lost = |presence: Presence| {
        scene(declared(), &[])
            .knowing(|known| (known.volume_since, known.volume) = (Some(NOON - Duration::days(30)), presence))
            .text()
    };
    assert_eq!(
        lost(Presence::Missing),
        "t/a: held, its data volume test_t_a is gone; it had data since 2026-10-24 12:00:00 UTC. Restore the volume, or run \
         agentpod start-empty to start the pod without its data"
    );
    assert!(
        lost(Presence::Unknown("no answer".into())).starts_with("t/a: held, its state is unknown: volume test_t_a")
    );
    assert!(lost(Presence::Present).starts_with("t/a: it has no container"));
}

#[test]
fn a_pod_whose_data_is_gone_starts_empty_once_somebody_asks_for_it_and_not_before() {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    let id: PodId = "t/a".parse().unwrap();
    harness.settle();
    assert!(harness.pod(&id).volume_since.is_some());
    harness.ask(RequestSpec::StartEmpty { pod: id.clone() });
    harness.settle();
    assert_eq!(harness.ended.pop().unwrap().outcome, "its data volume is not gone");
    harness.engine.world().containers.clear();
    harness.engine.world().volumes.clear();
    harness.pod(&id).volume = Presence::Missing;
    harness.settle();
    assert!(harness.engine.world().containers.is_empty());
    harness.ask(RequestSpec::StartEmpty { pod: id.clone() });
    harness.settle();
    assert_eq!(harness.engine.world().containers.len(), 1);
    assert!(harness.ended.pop().unwrap().done);
}

#[test]
fn a_new_container_that_ends_with_an_error_before_it_was_ready_gives_way_at_once() {
    let ended = |state| scene(declared(), &[('n', down(0)), ('m', state)]).text();
    let exit = |code| Exit { code, ..Exit::default() };
    let why =
        "t/a: its new container failed, so the previous one is started (it ended before it was ready (exit code 78))";
    assert_eq!(ended(ContainerState::Restarting(exit(78))), format!("{why}\n  stop t_a-M\n  start t_a-N"));
    assert_eq!(ended(ContainerState::Exited(exit(78))), format!("{why}\n  start t_a-N"));
    assert!(ended(ContainerState::Exited(exit(143))).starts_with("t/a: its container exited"), "somebody stopped it");
    assert!(ended(ContainerState::Restarting(exit(0))).contains("held, its new container is not ready yet"));
}

#[test]
fn a_rejected_change_is_tried_again_when_somebody_asks_for_it() {
    let mut harness = Harness::new(build(&[running("a", 'n', 'g')]));
    let id = "t/a".parse().unwrap();
    harness.settle();
    harness.desired = build(&[running("a", 'm', 'g')]);
    harness.pod(&id).rejected = Some(Rejected { digest: digest('m'), why: "the disk was full".into() });
    harness.settle();
    assert!(harness.engine.world().containers.contains_key(&name('n')));
    harness.ask(RequestSpec::Retry { pod: id });
    harness.settle();
    assert!(harness.engine.world().containers.contains_key(&name('m')));
    assert!(!harness.engine.world().containers.contains_key(&name('n')));
}

#[test]
fn only_so_many_pods_are_replaced_at_a_time() {
    let cases = |mode| ["a", "b", "c", "d"].map(|name| running(name, mode, 'g'));
    let mut harness = Harness::new(build(&cases('m')));
    harness.max_unavailable = MaxUnavailable(25);
    harness.settle();
    harness.desired = build(&cases('n'));
    harness.round(usize::MAX);
    let plan = harness.plans.last().unwrap().clone();
    assert_eq!(plan.actions().count(), 1, "{plan}");
    let held = |plan: &Plan| {
        let is_staggered = |decision: &&Decision| matches!(decision, Decision::Hold(Hold::Staggered { .. }));
        plan.pods.values().filter(is_staggered).count()
    };
    assert_eq!(held(&plan), 3, "{plan}");
    assert!(plan.to_string().contains("one pod is replaced at a time"), "{plan}");
    harness.settle();
    let live = harness.engine.world().containers.len();
    assert_eq!((live, held(harness.plans.last().unwrap())), (4, 0));
}

#[test]
fn steps_that_succeed_and_change_nothing_are_taken_less_and_less_often() {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    harness.settle();
    let starts =
        |harness: &Harness| harness.engine.world().writes.iter().filter(|write| write.starts_with("start ")).count();
    let before = starts(&harness);
    for _ in 0..600 {
        // It ends at once, and the engine does not restart it.
        harness.engine.world().containers.get_mut(&name('m')).unwrap().state = down(1);
        harness.round(usize::MAX);
        harness.now += Duration::milliseconds(100);
    }
    let taken = starts(&harness) - before;
    assert!((4..=10).contains(&taken), "{taken} starts in a minute");
    let mut decisions = harness.plans.iter().flat_map(|plan| plan.pods.values());
    assert!(decisions.any(|decision| matches!(decision, Decision::Hold(Hold::Repeating { .. }))));
}

#[test]
fn a_container_that_does_not_answer_any_more_is_restarted_if_its_adapter_says_so_and_less_and_less_often() {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    harness.settle();
    let mut restarts = |failures| {
        let before = harness.engine.world().writes.len();
        for _ in 0..60 {
            harness.now += Duration::seconds(10);
            let starting = Health::new(name('m'), harness.now, harness.now);
            harness.lost = Some(Health { readiness: Readiness::Lost, failures, ..starting });
            harness.round(usize::MAX);
        }
        (harness.engine.world().writes.len() - before) / 2
    };
    assert_eq!(restarts(59), 0, "one failure less than the adapter says");
    let taken = restarts(60);
    assert!((4..=8).contains(&taken), "{taken} restarts in ten minutes");
}
