//! Laws 1, 2, 4 and 6 over every situation one pod can be in.

use agentpod::{
    core::{
        decide::plan::{Rejected, Uploaded},
        declare::desired::container_name,
        names::PodId,
        observe::actual::{ContainerState, Exit},
    },
    engine::memory::FaultTiming,
};

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, unsatisfied},
};

/// What a container of some digest is doing, or that there is none.
const STATES: [Option<fn() -> ContainerState>; 6] = [
    None,
    Some(|| ContainerState::Created),
    Some(|| ContainerState::Running { since: None }),
    Some(|| ContainerState::Exited(Exit { code: 1, ..Exit::default() })),
    Some(|| ContainerState::Restarting(Exit::default())),
    Some(|| ContainerState::Paused),
];

#[derive(Debug, Clone, Copy)]
enum Twist {
    /// None.
    Plain,
    /// The wished container was renamed by hand.
    Renamed,
    /// The wished container was taken off its network by hand.
    CutOff,
    /// The container from before was.
    BeforeCutOff,
}

#[derive(Debug, Clone, Copy)]
struct Situation {
    twist: Twist,
    desired: usize,
    harnesses: usize,
    before: usize,
    long_before: usize,
    never_ready: bool,
    rejected: bool,
    uploaded: bool,
}

fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for desired in 0..4 {
        for harnesses in 0..STATES.len() {
            for before in 0..STATES.len() {
                for long_before in 0..STATES.len() {
                    for flags in 0..8u8 {
                        let flag = |bit: u8| flags & (1 << bit) != 0;
                        let (never_ready, rejected, uploaded) = (flag(0), flag(1), flag(2));
                        let plain = Situation {
                            twist: Twist::Plain,
                            desired,
                            harnesses,
                            before,
                            long_before,
                            never_ready,
                            rejected,
                            uploaded,
                        };
                        all.push(plain);
                        // Nothing in a twist depends on what was there long before, or on readiness.
                        if harnesses != 0 && long_before == 0 && !never_ready {
                            all.push(Situation { twist: Twist::Renamed, ..plain });
                            all.push(Situation { twist: Twist::CutOff, ..plain });
                        }
                        if before != 0 && long_before == 0 && !never_ready {
                            all.push(Situation { twist: Twist::BeforeCutOff, ..plain });
                        }
                    }
                }
            }
        }
    }
    all
}

/// Two containers on one volume cannot come from us; the laws still hold once they are seen.
fn starts_unlawful(situation: &Situation) -> bool {
    let live = |state: usize| matches!(state, 2 | 4 | 5);
    [situation.harnesses, situation.before, situation.long_before].into_iter().filter(|state| live(*state)).count() > 1
}

fn harness(situation: &Situation) -> Harness {
    let id: PodId = "t/a".parse().unwrap();
    let harnesses = running("a", 'm', 'g');
    let declared = match situation.desired {
        0 => vec![],
        1 => vec![DesiredCase { stopped: true, ..harnesses.clone() }],
        2 => vec![harnesses.clone()],
        _ => vec![DesiredCase { secret_missing: true, ..harnesses.clone() }],
    };
    let mut harness = Harness::new(build(&declared));
    let reference = build(&[harnesses]).pods.remove(&id).unwrap();
    let digest = |mode| build(&[running("a", mode, 'g')]).pods[&id].container.digest.clone();
    let volume = &reference.container.blueprint.volume;
    for (digest, state) in [
        (digest('x'), situation.long_before),
        (digest('y'), situation.before),
        (reference.container.digest.clone(), situation.harnesses),
    ] {
        if let Some(state) = STATES[state] {
            harness.engine.place(&id, &digest, volume, state());
        }
    }
    harness.engine.world().volumes.insert(volume.clone(), reference.volume.labels.clone());
    if situation.never_ready {
        harness.never_ready.insert(reference.container.digest.clone());
    }
    twist(situation.twist, &harness, &reference.container.name, &container_name(&id, &digest('y')));
    let known = harness.pod(&id);
    if situation.rejected {
        known.rejected = Some(Rejected { digest: reference.container.digest.clone(), why: "too slow".into() });
    }
    if situation.uploaded {
        let digest = reference.hot.clone().unwrap();
        known.uploaded = Some(Uploaded { container: reference.container.name.clone(), digest: digest.clone() });
        let mut world = harness.engine.world();
        for container in world.containers.values_mut().filter(|c| c.digest == reference.container.digest) {
            container.files.insert("/config/echo.json".into(), digest.to_string());
        }
    }
    harness
}

/// Every situation of a pod that was declared once and is not any more.
pub fn undeclared() -> impl Iterator<Item = Harness> {
    harnesses(0)
}

/// Every situation of a pod that should run, and whose secrets can be read.
pub fn to_run() -> impl Iterator<Item = Harness> {
    harnesses(2)
}

fn harnesses(desired: usize) -> impl Iterator<Item = Harness> {
    let lawful = move |situation: &Situation| situation.desired == desired && !starts_unlawful(situation);
    situations().into_iter().filter(lawful).map(|situation| harness(&situation))
}

fn twist(twist: Twist, harness: &Harness, harnesses: &str, before: &str) {
    let mut world = harness.engine.world();
    match twist {
        Twist::Plain => {}
        Twist::Renamed => {
            let container = world.containers.remove(harnesses).unwrap();
            world.containers.insert("by-hand".into(), container);
        }
        Twist::CutOff => world.containers.get_mut(harnesses).unwrap().networks.clear(),
        Twist::BeforeCutOff => world.containers.get_mut(before).unwrap().networks.clear(),
    }
}

fn check(situation: &Situation, harness: &Harness) {
    if let Some(wrong) =
        unsatisfied(harness).filter(|wrong| !(starts_unlawful(situation) && wrong.starts_with("law 4")))
    {
        panic!(
            "{situation:?}\n{wrong}\n{}\n{:#?}",
            harness.plans.iter().map(|plan| format!("{plan}\n")).collect::<String>(),
            harness.engine.world().writes
        );
    }
}

#[test]
fn every_situation_settles_as_desired_and_then_nothing_is_written() {
    for situation in situations() {
        let mut harness = harness(&situation);
        harness.settle();
        check(&situation, &harness);
        let writes = harness.engine.world().writes.len();
        let states = harness.states.clone();
        for _ in 0..3 {
            assert_eq!(harness.round(usize::MAX), 0, "{situation:?} is not quiet");
        }
        assert_eq!(harness.engine.world().writes.len(), writes, "{situation:?} writes on");
        assert_eq!(harness.states, states, "{situation:?} remembers on");
    }
}

#[test]
fn every_situation_survives_being_killed_after_any_step() {
    for situation in situations() {
        for steps in 0..9 {
            let mut harness = harness(&situation);
            let planned = harness.round(steps);
            if steps > planned {
                break;
            }
            harness.restart();
            harness.settle();
            check(&situation, &harness);
        }
    }
}

#[test]
fn every_situation_survives_any_single_fault_of_the_engine() {
    for situation in situations() {
        for (at, fault) in (0..9).flat_map(|at| [(at, FaultTiming::Before), (at, FaultTiming::After)]) {
            let mut harness = harness(&situation);
            let mut faults = vec![None; at];
            faults.push(Some(fault));
            harness.engine.inject(faults);
            harness.settle();
            check(&situation, &harness);
            if harness.engine.faults_left() > 0 {
                break;
            }
        }
    }
}

#[test]
fn two_rounds_after_a_crash_the_desired_state_is_reached_if_nothing_has_to_be_waited_for() {
    let id: PodId = "t/a".parse().unwrap();
    for steps in 0..8 {
        let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
        harness.round(steps);
        harness.restart();
        harness.round(usize::MAX);
        harness.round(usize::MAX);
        assert_eq!(unsatisfied(&harness), None, "killed after {steps} steps of creating {id}");
    }
}

#[test]
fn an_upload_whose_answer_was_lost_is_not_taken_for_the_one_before() {
    let greeting = |greeting| build(&[running("a", 'm', greeting)]);
    let mut harness = Harness::new(greeting('h'));
    harness.settle();
    harness.desired = greeting('g');
    harness.engine.inject([Some(FaultTiming::After)]);
    harness.round(usize::MAX);
    harness.desired = greeting('h');
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
}
