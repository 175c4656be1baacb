//! Law 5 for revisions that are in order: more removals than are allowed are held, every one of them, until exactly they
//! are approved; then exactly they go, once.

use std::collections::BTreeSet;

use agentpod::{
    core::{
        decide::{
            plan::{Decision, Hold, REMOVAL_SETTLE, RemovalLimit},
            request::RequestSpec,
        },
        names::PodId,
    },
    engine::memory::MemoryContainer,
};
use proptest::prelude::*;
use time::Duration;

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, unsatisfied},
};

const NAMES: [&str; 16] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];

fn pod(name: &str) -> PodId {
    format!("t/{name}").parse().unwrap()
}

fn fleet(names: &[&'static str]) -> Vec<DesiredCase> {
    names.iter().map(|name| running(name, 'm', 'g')).collect()
}

/// So many pods at rest, under the revision `r1`.
fn at_rest(pods: usize, limit: RemovalLimit) -> Harness {
    let mut harness = Harness::new(build(&fleet(&NAMES[..pods])));
    harness.limit = limit;
    harness.settle();
    harness.engine.world().writes.clear();
    harness
}

/// Another revision, which declares these alone.
fn declare(harness: &mut Harness, revision: &str, names: &[&'static str]) {
    (harness.desired, harness.revision) = (build(&fleet(names)), revision.into());
}

fn held(harness: &Harness) -> Option<String> {
    harness.plans.last().unwrap().held_removals.as_ref().map(|held| held.why.plan.clone())
}

fn approve(harness: &mut Harness, plan: &str) {
    harness.ask(RequestSpec::Approve { plan: plan.into() });
}

/// What was done, in order, without the digests.
fn writes(harness: &Harness) -> Vec<String> {
    let without = |write: &String| write.rsplit_once('-').map_or(write.clone(), |(head, _)| head.to_owned());
    harness.engine.world().writes.iter().map(without).collect()
}

/// The pods whose containers were stopped or removed, each as often as it was.
fn taken(harness: &Harness) -> Vec<String> {
    let taken = |write: &String| write.strip_prefix("stop t_").map(str::to_owned);
    writes(harness).iter().filter_map(taken).collect()
}

#[test]
fn four_of_ten_are_held_untouched_and_three_of_ten_go() {
    let mut harness = at_rest(10, RemovalLimit::default());
    declare(&mut harness, "r2", &NAMES[4..10]);
    harness.settle();
    assert_eq!(writes(&harness), Vec::<String>::new());
    let plan = harness.plans.last().unwrap();
    let text = plan.to_string();
    let hash = held(&harness).unwrap();
    let line = format!(
        "t/a: held, its removal is held, and it keeps running: 4 of 10 pods would be removed at once, more than 3 and more than \
         20 %; if this is intended, run: agentpod approve {hash}\n"
    );
    assert!(text.starts_with(&line), "{text}");
    let last = format!("\nplan {hash} holds 4 removals; to remove exactly these pods, run: agentpod approve {hash}\n");
    assert!(text.contains(&last), "{text}");
    // One of them back: three are left, and three may go.
    declare(&mut harness, "r3", &NAMES[3..10]);
    harness.settle();
    assert_eq!(taken(&harness), ["a", "b", "c"]);
    assert_eq!(unsatisfied(&harness), None);
}

#[test]
fn a_fifth_of_a_large_fleet_may_go_even_if_that_is_more_than_three() {
    let mut harness = at_rest(16, RemovalLimit { count: 3, percent: 25 });
    declare(&mut harness, "r2", &NAMES[4..]);
    harness.settle();
    assert_eq!(taken(&harness), ["a", "b", "c", "d"]);
}

#[test]
fn pods_that_vanish_one_by_one_are_counted_as_a_whole_once_that_stops() {
    let mut harness = at_rest(12, RemovalLimit::default());
    harness.removal_settle = REMOVAL_SETTLE;
    for gone in 1..=10 {
        harness.now += Duration::seconds(2);
        declare(&mut harness, &format!("r{gone}"), &NAMES[gone..12]);
        harness.round(usize::MAX);
        assert!(matches!(harness.plans.last().unwrap().pods[&pod("a")], Decision::Hold(Hold::RemovalSettles(_))));
    }
    harness.settle();
    assert_eq!(writes(&harness), Vec::<String>::new(), "ten of twelve are held");
    let hash = held(&harness).unwrap();
    approve(&mut harness, &hash);
    harness.settle();
    assert_eq!(taken(&harness), NAMES[..10]);
}

#[test]
fn removals_within_ten_minutes_count_together_and_what_is_held_does_not_lapse_by_waiting() {
    let mut harness = at_rest(12, RemovalLimit::default());
    for gone in 1..=6 {
        harness.now += Duration::minutes(2);
        declare(&mut harness, &format!("r{gone}"), &NAMES[gone..12]);
        harness.round(usize::MAX);
    }
    assert_eq!(taken(&harness), ["a", "b", "c"]);
    let text = harness.plans.last().unwrap().to_string();
    assert!(
        text.contains(
            "6 of 12 pods would be removed within ten minutes (3 of them already have been), more than 3 and"
        ),
        "{text}"
    );
    harness.now += Duration::hours(5);
    harness.settle();
    assert_eq!(taken(&harness), ["a", "b", "c"]);
    assert!(held(&harness).is_some());
    // Apart by more than that, they are not counted together.
    let mut harness = at_rest(12, RemovalLimit::default());
    for gone in 1..=6 {
        harness.now += Duration::minutes(11);
        declare(&mut harness, &format!("r{gone}"), &NAMES[gone..12]);
        harness.round(usize::MAX);
    }
    assert_eq!(taken(&harness), NAMES[..6]);
}

#[test]
fn a_pod_that_comes_back_while_its_removal_settles_is_never_stopped_and_endless_removals_are_decided_on_all_the_same() {
    let mut harness = at_rest(12, RemovalLimit::default());
    harness.removal_settle = REMOVAL_SETTLE;
    declare(&mut harness, "r2", &NAMES[2..12]);
    harness.now += Duration::SECOND;
    harness.round(usize::MAX);
    declare(&mut harness, "r3", &NAMES[..12]);
    harness.settle();
    assert_eq!(writes(&harness), Vec::<String>::new());

    harness.limit = super::harness::NO_LIMIT;
    let begun = harness.now;
    for gone in (1..12).cycle() {
        harness.now += Duration::seconds(4);
        declare(&mut harness, &format!("r{gone}"), &NAMES[..12 - gone]);
        harness.round(usize::MAX);
        if !taken(&harness).is_empty() {
            break;
        }
        assert!(harness.now < begun + Duration::minutes(2), "nothing is ever decided");
    }
}

#[test]
fn an_approval_opens_exactly_its_plan_and_only_once() {
    let mut harness = at_rest(10, RemovalLimit::default());
    declare(&mut harness, "r2", &NAMES[4..10]);
    harness.round(usize::MAX);
    let four = held(&harness).unwrap();
    // A fifth goes with another revision: the plan that was read is not the one that is held.
    declare(&mut harness, "r3", &NAMES[5..10]);
    harness.round(usize::MAX);
    let five = held(&harness).unwrap();
    assert_ne!(four, five);
    approve(&mut harness, &four);
    harness.settle();
    assert_eq!(taken(&harness), Vec::<String>::new());
    let refused = harness.ended.last().unwrap();
    assert!(!refused.done && refused.outcome.contains(&format!("plan {five} is, with 5 removals")), "{refused:?}");
    assert!(harness.requests.is_empty(), "a refused approval does not wait for another plan");

    approve(&mut harness, &five);
    approve(&mut harness, &five);
    harness.settle();
    assert_eq!(taken(&harness), ["a", "b", "c", "d", "e"]);
    assert_eq!(unsatisfied(&harness), None);
    let outcomes: Vec<bool> = harness.ended.iter().map(|ended| ended.done).collect();
    assert_eq!(outcomes, [false, true, false], "the second one has nothing left to open: {:?}", harness.ended);

    // The same pods again under the same revision's name: another removal, another yes.
    declare(&mut harness, "r4", &NAMES[..10]);
    harness.settle();
    declare(&mut harness, "r3", &NAMES[5..10]);
    harness.settle();
    assert_eq!((taken(&harness).len(), held(&harness)), (5, Some(five)));
}

#[test]
fn the_same_set_under_another_revision_is_another_plan() {
    let mut harness = at_rest(10, RemovalLimit::default());
    let mut hashes = BTreeSet::new();
    for revision in ["r2", "r3"] {
        declare(&mut harness, revision, &NAMES[4..10]);
        harness.round(usize::MAX);
        hashes.insert(held(&harness).unwrap());
    }
    assert_eq!(hashes.len(), 2);
}

#[test]
fn the_grace_of_a_held_removal_begins_with_its_approval() {
    let mut harness = at_rest(4, RemovalLimit::default());
    declare(&mut harness, "r2", &[]);
    harness.round(usize::MAX);
    harness.now += Duration::days(3);
    harness.round(usize::MAX);
    let hash = held(&harness).unwrap();
    approve(&mut harness, &hash);
    harness.round(usize::MAX);
    let text = harness.plans.last().unwrap().to_string();
    assert!(text.starts_with("t/a: it is no longer declared and alice@host approved its removal\n  stop"), "{text}");
    harness.now += Duration::minutes(9);
    harness.round(usize::MAX);
    assert_eq!(harness.engine.world().containers.len(), 4, "the grace is not over");
    harness.now += Duration::minutes(1);
    harness.round(usize::MAX);
    assert_eq!(harness.engine.world().containers.len(), 0);
}

#[test]
fn a_removal_once_allowed_goes_on_after_a_crash_and_under_a_stricter_limit() {
    let mut harness = at_rest(10, RemovalLimit::default());
    declare(&mut harness, "r2", &NAMES[3..10]);
    harness.round(1);
    harness.restart();
    harness.limit = RemovalLimit { count: 0, percent: 0 };
    harness.settle();
    assert_eq!(taken(&harness), ["a", "b", "c"]);
    assert_eq!(unsatisfied(&harness), None);
}

#[test]
fn a_pod_that_comes_back_forgets_that_it_might_go() {
    let mut harness = at_rest(10, RemovalLimit::default());
    declare(&mut harness, "r2", &NAMES[3..10]);
    harness.round(usize::MAX);
    declare(&mut harness, "r3", &NAMES[..10]);
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    harness.engine.world().writes.clear();
    // The same three and one more.
    declare(&mut harness, "r4", &NAMES[4..10]);
    harness.settle();
    assert_eq!(writes(&harness), Vec::<String>::new());
    assert!(held(&harness).is_some());
}

#[test]
fn a_new_pod_waits_for_the_subdomain_of_one_that_still_runs() {
    let id = pod("z");
    let mut harness = at_rest(5, RemovalLimit::default());
    // All five move to other names, and one keeps its subdomain.
    let moved = |name: &'static str| DesiredCase { subdomain: Some("a"), ..running(name, 'm', 'g') };
    (harness.desired, harness.revision) = (build(&[moved("z")]), "r2".into());
    harness.settle();
    assert_eq!(writes(&harness), Vec::<String>::new());
    let plan = harness.plans.last().unwrap();
    assert_eq!(plan.pods[&id], Decision::Hold(Hold::SubdomainTaken(pod("a"))));
    assert!(plan.to_string().contains("t/z: held, t/a still runs at its subdomain; it starts when"));
    let hash = held(&harness).unwrap();
    approve(&mut harness, &hash);
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    let done = writes(&harness);
    let at = |what: &str| done.iter().position(|write| write == what).unwrap_or_else(|| panic!("{what}: {done:?}"));
    assert!(at("stop t_a") < at("start t_z"), "{done:?}");
}

#[test]
fn every_situation_of_a_pod_is_held_as_it_is_and_goes_once_it_is_approved() {
    for mut harness in super::exhaustive::undeclared() {
        harness.limit = RemovalLimit { count: 0, percent: 0 };
        harness.settle();
        assert_eq!(harness.engine.world().writes, Vec::<String>::new());
        let Some(hash) = held(&harness) else {
            assert!(harness.engine.world().containers.is_empty());
            continue;
        };
        for steps in 0.. {
            approve(&mut harness, &hash);
            let planned = harness.round(steps);
            harness.restart();
            if steps >= planned {
                break;
            }
        }
        harness.settle();
        assert_eq!(unsatisfied(&harness), None);
    }
}

#[derive(Debug, Clone)]
enum Meanwhile {
    Round,
    DiesAfter(usize),
    Pass(i64),
    Blind,
    /// The engine leaves some of its containers out of its list for a round.
    Hidden(BTreeSet<usize>),
}

fn meanwhile() -> impl Strategy<Value = Vec<Meanwhile>> {
    let one = prop_oneof![
        Just(Meanwhile::Round),
        (0..4usize).prop_map(Meanwhile::DiesAfter),
        (0..20i64).prop_map(Meanwhile::Pass),
        Just(Meanwhile::Blind),
        prop::collection::btree_set(0..16usize, 0..16).prop_map(Meanwhile::Hidden),
    ];
    prop::collection::vec(one, 1..12)
}

fn play(harness: &mut Harness, step: &Meanwhile) {
    match step {
        Meanwhile::Round => {
            harness.round(usize::MAX);
        }
        Meanwhile::DiesAfter(steps) => {
            harness.round(*steps);
            harness.restart();
        }
        Meanwhile::Pass(minutes) => harness.now += Duration::minutes(*minutes),
        Meanwhile::Blind => {
            harness.engine.world().unreachable = true;
            harness.round(usize::MAX);
            harness.engine.world().unreachable = false;
        }
        Meanwhile::Hidden(which) => {
            let hidden = |container: &MemoryContainer| {
                let known = NAMES.iter().position(|name| *name == container.pod.pod.as_str());
                // What is declared would be made anew: only what is not is left out.
                known.is_some_and(|known| which.contains(&known)) && !harness.desired.pods.contains_key(&container.pod)
            };
            let all = std::mem::take(&mut harness.engine.world().containers);
            let (away, there) = all.into_iter().partition(|(_, container)| hidden(container));
            harness.engine.world().containers = there;
            harness.round(usize::MAX);
            let away: std::collections::BTreeMap<_, _> = away;
            harness.engine.world().containers.extend(away);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn over_the_limit_nothing_goes_and_approved_exactly_these_go_once(
        pods in 1..=16usize,
        gone in prop::collection::btree_set(0..16usize, 1..16),
        count in 0..6usize,
        percent in 0..=100usize,
        steps in meanwhile(),
        after in meanwhile(),
    ) {
        let limit = RemovalLimit { count, percent };
        let mut harness = at_rest(pods, limit);
        let gone: BTreeSet<&str> = gone.iter().filter(|index| **index < pods).map(|index| NAMES[*index]).collect();
        let stays: Vec<&'static str> = NAMES[..pods].iter().copied().filter(|name| !gone.contains(name)).collect();
        declare(&mut harness, "r2", &stays);
        for step in &steps {
            play(&mut harness, step);
            let went: BTreeSet<String> = taken(&harness).into_iter().collect();
            prop_assert!(
                !limit.is_exceeded(went.len(), stays.len() + went.len()) || went.is_empty(),
                "{went:?} went after {step:?}"
            );
        }
        harness.settle();
        if limit.is_exceeded(gone.len(), pods) {
            let before: BTreeSet<String> = taken(&harness).into_iter().collect();
            prop_assert!(before.len() < gone.len(), "all went");
            if !steps.iter().any(|step| matches!(step, Meanwhile::Hidden(_))) {
                prop_assert_eq!(writes(&harness), Vec::<String>::new());
            }
            approve(&mut harness, "0123456789ab");
            harness.settle();
            prop_assert_eq!(taken(&harness).into_iter().collect::<BTreeSet<_>>(), before);
            prop_assert!(!harness.ended.last().unwrap().done);
            let hash = held(&harness).unwrap();
            approve(&mut harness, &hash);
            // Nothing is left out from here: what is not in the list when it is approved was not approved.
            for step in after.iter().filter(|step| !matches!(step, Meanwhile::Hidden(_))) {
                play(&mut harness, step);
            }
        }
        harness.settle();
        prop_assert_eq!(unsatisfied(&harness), None);
        let mut went = taken(&harness);
        went.sort();
        prop_assert_eq!(went, gone.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        prop_assert!(held(&harness).is_none());
    }
}
