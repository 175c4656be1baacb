//! Laws 1 to 4 and 6 over random fleets: declarations that change, faults of the engine, containers killed by hand,
//! digests that never become ready, restarts of AgentPod at any step, and an engine that does not answer.

use std::collections::{BTreeMap, BTreeSet};

use agentpod::{
    core::{
        decide::{request::RequestSpec, request_kind::RequestKind},
        names::PodId,
        observe::actual::{ContainerState, Exit},
    },
    engine::memory::FaultTiming,
};
use proptest::prelude::*;

use super::{
    fleet::{DesiredCase, build},
    harness::{Harness, unsatisfied},
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Move {
    Declare(Vec<DesiredCase>),
    Faults(Vec<Option<bool>>),
    Round { dies_after: Option<usize> },
    Pass { minutes: i64 },
    Kill { which: usize },
    Forget { which: usize },
    Rename { which: usize },
    CutOff { which: usize },
    Refuse { which: usize, starts: bool },
    Blind,
    NeverReady { which: usize },
    Restart { which: usize },
    Pause { which: usize, minutes: Option<i64> },
    Resume { which: usize },
}

fn desired_pods() -> impl Strategy<Value = Vec<DesiredCase>> {
    let one = |name: &'static str| {
        (
            prop::bool::weighted(0.8),
            prop::bool::weighted(0.2),
            prop::sample::select(vec!['m', 'n', 'o']),
            prop::sample::select(vec!['g', 'h']),
        )
            .prop_map(move |(declared, stopped, mode, greeting)| {
                declared.then_some(DesiredCase {
                    name,
                    stopped,
                    mode,
                    greeting,
                    secret_missing: false,
                    subdomain: None,
                })
            })
    };
    (one(NAMES[0]), one(NAMES[1]), one(NAMES[2]), one(NAMES[3]))
        .prop_map(|(a, b, c, d)| [a, b, c, d].into_iter().flatten().collect())
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => desired_pods().prop_map(Move::Declare),
        1 => prop::collection::vec(prop::option::weighted(0.3, any::<bool>()), 1..12).prop_map(Move::Faults),
        4 => prop::option::weighted(0.3, 0..6usize).prop_map(|dies_after| Move::Round { dies_after }),
        2 => (0..8i64).prop_map(|minutes| Move::Pass { minutes }),
        1 => any::<usize>().prop_map(|which| Move::Kill { which }),
        1 => any::<usize>().prop_map(|which| Move::Forget { which }),
        1 => any::<usize>().prop_map(|which| Move::Rename { which }),
        1 => any::<usize>().prop_map(|which| Move::CutOff { which }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, starts)| Move::Refuse { which, starts }),
        1 => Just(Move::Blind),
        1 => any::<usize>().prop_map(|which| Move::NeverReady { which }),
        1 => (0..4usize).prop_map(|which| Move::Restart { which }),
        1 => (0..4usize, prop::option::of(1..30i64)).prop_map(|(which, minutes)| Move::Pause { which, minutes }),
        1 => (0..4usize).prop_map(|which| Move::Resume { which }),
    ];
    prop::collection::vec(one, 1..40)
}

fn pod(which: usize) -> PodId {
    format!("t/{}", NAMES[which]).parse().unwrap()
}

fn play(harness: &mut Harness, step: &Move) {
    match step {
        Move::Declare(desired_pods) => harness.desired = build(desired_pods),
        Move::Faults(faults) => {
            let fault = |after: &bool| if *after { FaultTiming::After } else { FaultTiming::Before };
            harness.engine.inject(faults.iter().map(|f| f.as_ref().map(fault)));
        }
        Move::Round { dies_after } => {
            harness.round(dies_after.unwrap_or(usize::MAX));
            if dies_after.is_some() {
                harness.restart();
            }
        }
        Move::Pass { minutes } => harness.now += time::Duration::minutes(*minutes),
        Move::Kill { which } => {
            let mut world = harness.engine.world();
            let count = world.containers.len().max(1);
            if let Some(container) = world.containers.values_mut().nth(which % count) {
                container.state = ContainerState::Exited(Exit { code: 137, ..Exit::default() });
            }
        }
        Move::Forget { which } => {
            let mut world = harness.engine.world();
            let name = world.containers.keys().nth(which % world.containers.len().max(1)).cloned();
            name.map(|name| world.containers.remove(&name));
        }
        Move::Rename { which } => {
            let mut world = harness.engine.world();
            let name = world.containers.keys().nth(which % world.containers.len().max(1)).cloned();
            if let Some(name) = name {
                let container = world.containers.remove(&name).unwrap();
                world.containers.insert(format!("{name}-by-hand"), container);
            }
        }
        Move::CutOff { which } => {
            let mut world = harness.engine.world();
            let count = world.containers.len().max(1);
            if let Some(container) = world.containers.values_mut().nth(which % count) {
                container.networks.clear();
            }
        }
        Move::Refuse { which, starts } => {
            let pods = &harness.desired.pods;
            let name = pods.values().nth(which % pods.len().max(1)).map(|pod| pod.container.name.clone());
            let step = if *starts { "start" } else { "upload" };
            harness.engine.world().refused.extend(name.map(|name| format!("{step} {name}")));
        }
        Move::Blind => {
            harness.engine.world().unreachable = true;
            let before = harness.engine.world().containers.len();
            harness.round(usize::MAX);
            assert_eq!(harness.engine.world().containers.len(), before);
            harness.engine.world().unreachable = false;
        }
        Move::Restart { which } => {
            harness.ask(RequestSpec::Restart { pod: pod(*which) });
        }
        Move::Pause { which, minutes } => {
            let until = minutes.map(|minutes| harness.now + time::Duration::minutes(minutes));
            harness.ask(RequestSpec::Pause { pod: pod(*which), until });
        }
        Move::Resume { which } => {
            harness.ask(RequestSpec::Resume { pod: pod(*which) });
        }
        Move::NeverReady { which } => {
            let digests: Vec<_> = harness.desired.pods.values().map(|pod| pod.container.digest.clone()).collect();
            if let Some(digest) = digests.get(which % digests.len().max(1)) {
                harness.never_ready.insert(digest.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_random_fleet_settles_keeps_its_volumes_and_then_writes_nothing(moves in moves()) {
        let mut harness = Harness::new(build(&[]));
        let mut volumes = BTreeSet::new();
        for step in &moves {
            play(&mut harness, step);
            let now: BTreeSet<String> = harness.engine.world().volumes.keys().cloned().collect();
            prop_assert!(volumes.is_subset(&now), "a volume vanished after {step:?}");
            volumes = now;
            prop_assert!(harness.engine.world().violations.is_empty(), "law 4 after {:?}: {:?}", step, harness.engine.world().violations);
        }
        harness.engine.inject([]);
        harness.engine.world().refused.clear();
        for which in 0..4 {
            harness.ask(RequestSpec::Resume { pod: pod(which) });
        }
        harness.settle();
        prop_assert_eq!(unsatisfied(&harness), None);
        prop_assert!(!harness.requests.iter().any(|open| open.request.what.kind() != RequestKind::Restart), "{:?}", harness.requests);
        let writes = harness.engine.world().writes.len();
        for _ in 0..3 {
            prop_assert_eq!(harness.round(usize::MAX), 0);
        }
        prop_assert_eq!(harness.engine.world().writes.len(), writes);
    }

    #[test]
    fn the_siblings_of_a_changed_pod_are_not_touched(before in desired_pods(), changed in 0..4usize, mode in prop::sample::select(vec!['p', 'q'])) {
        let mut harness = Harness::new(build(&before));
        harness.settle();
        let there = |harness: &Harness| -> BTreeMap<PodId, Vec<(String, ContainerState)>> {
            let mut pods: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for (name, container) in &harness.engine.world().containers {
                pods.entry(container.pod.clone()).or_default().push((name.clone(), container.state.clone()));
            }
            pods
        };
        let siblings = there(&harness);
        let mut after = before.clone();
        for pod in after.iter_mut().filter(|pod| pod.name == NAMES[changed]) {
            pod.mode = mode;
        }
        harness.desired = build(&after);
        harness.settle();
        for (id, containers) in there(&harness) {
            if id.pod.as_str() != NAMES[changed] {
                prop_assert_eq!(Some(&containers), siblings.get(&id));
            }
        }
    }
}
