//! What people ask for, against the memory engine: done once, whoever dies in between, and never forgotten.

use agentpod::core::{
    decide::{
        plan::{Decision, Hold},
        request::RequestSpec,
    },
    names::PodId,
    observe::actual::{ContainerState, Exit},
};
use time::Duration;

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, unsatisfied},
};

fn id() -> PodId {
    "t/a".parse().unwrap()
}

fn restart() -> RequestSpec {
    RequestSpec::Restart { pod: id() }
}

fn at_rest() -> Harness {
    let mut harness = Harness::new(build(&[running("a", 'm', 'g')]));
    harness.settle();
    harness.engine.world().writes.clear();
    harness.now += Duration::minutes(1);
    harness
}

fn pause(harness: &mut Harness, minutes: Option<i64>) {
    let until = minutes.map(|minutes| harness.now + Duration::minutes(minutes));
    harness.ask(RequestSpec::Pause { pod: id(), until });
}

/// What was done, in order: `stop`, `start`.
fn deeds(harness: &Harness) -> Vec<String> {
    harness.engine.world().writes.iter().map(|write| write.split(' ').next().unwrap().to_owned()).collect()
}

fn text(harness: &Harness) -> String {
    let digest = build(&[running("a", 'm', 'g')]).pods[&id()].container.digest.short().to_owned();
    let text = harness.plans.last().unwrap().to_string().replace(&digest, "M");
    text.rsplit_once('\n').map_or(String::new(), |(text, _)| text.to_owned())
}

#[test]
fn a_restart_is_a_stop_and_a_start_of_the_current_container() {
    let mut harness = at_rest();
    harness.ask(restart());
    harness.round(usize::MAX);
    assert_eq!(text(&harness), "t/a: alice@host requested a restart\n  stop t_a-M\n  start t_a-M");
    harness.settle();
    assert_eq!(deeds(&harness), ["stop", "start"]);
    assert_eq!((harness.ended.len(), harness.ended[0].done), (1, true));
    assert_eq!(harness.ended[0].outcome, "the container was restarted");
}

#[test]
fn a_restart_is_done_once_wherever_we_die() {
    for steps in 0..3 {
        let mut harness = at_rest();
        harness.ask(restart());
        harness.now += Duration::seconds(1);
        harness.round(steps);
        harness.restart();
        harness.settle();
        assert_eq!(deeds(&harness).iter().filter(|deed| *deed == "stop").count(), 1, "killed after {steps} steps");
        assert_eq!(deeds(&harness).iter().filter(|deed| *deed == "start").count(), 1, "killed after {steps} steps");
        assert!(harness.requests.is_empty() && harness.ended[0].done);
        assert_eq!(unsatisfied(&harness), None);
    }
}

#[test]
fn two_who_ask_for_a_restart_get_one() {
    let mut harness = at_rest();
    harness.ask(restart());
    harness.ask(restart());
    harness.now += Duration::seconds(1);
    harness.settle();
    assert_eq!((deeds(&harness).len(), harness.ended.len()), (2, 2));
}

#[test]
fn a_restart_does_not_wait_for_the_next_try_but_is_no_more_than_one() {
    let mut harness = at_rest();
    let name = harness.engine.world().containers.keys().next().unwrap().clone();
    harness.engine.world().containers.get_mut(&name).unwrap().state = ContainerState::Exited(Exit::default());
    harness.engine.world().refused.insert(format!("start {name}"));
    harness.round(usize::MAX);
    harness.round(usize::MAX);
    assert!(text(&harness).contains("held, attempt 1 failed"), "{}", text(&harness));
    harness.ask(restart());
    harness.round(usize::MAX);
    assert!(text(&harness).starts_with("t/a: alice@host requested a restart"), "{}", text(&harness));
    harness.round(usize::MAX);
    assert!(text(&harness).contains("held, attempt 2 failed"), "{}", text(&harness));
    harness.now += Duration::hours(2);
    harness.round(usize::MAX);
    let ended = &harness.ended[0];
    assert!(
        !ended.done && ended.outcome.starts_with("the container could not be restarted in time: injected"),
        "{ended:?}"
    );
}

#[test]
fn what_should_not_run_is_not_restarted() {
    for (wish, why) in [
        (vec![], "it is no longer declared running"),
        (vec![DesiredCase { stopped: true, ..running("a", 'm', 'g') }], "it is no longer declared running"),
    ] {
        let mut harness = at_rest();
        harness.ask(restart());
        harness.desired = build(&wish);
        harness.settle();
        assert_eq!((harness.ended[0].done, harness.ended[0].outcome.as_str()), (false, why));
        assert!(!deeds(&harness).contains(&"start".to_owned()));
    }
}

#[test]
fn a_pause_stops_the_pod_and_outlives_us_and_a_changed_manifest_until_its_time() {
    let mut harness = at_rest();
    pause(&mut harness, Some(120));
    harness.round(usize::MAX);
    assert_eq!(text(&harness), "t/a: alice@host paused it until 1972-09-27 02:03:00 UTC\n  stop t_a-M");
    harness.restart();
    harness.round(usize::MAX);
    let said = "t/a: held, paused by alice@host until 1972-09-27 02:03:00 UTC; agentpod resume starts it again";
    assert_eq!(text(&harness), said);
    harness.desired = build(&[running("a", 'n', 'g')]);
    harness.settle();
    assert_eq!(deeds(&harness), ["stop"]);
    // Somebody starts it by hand: it was asked to be stopped.
    let name = harness.engine.world().containers.keys().next().unwrap().clone();
    harness.engine.world().containers.get_mut(&name).unwrap().state = ContainerState::Running { since: None };
    harness.settle();
    assert_eq!(deeds(&harness), ["stop", "stop"]);
    harness.now += Duration::hours(2);
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    assert_eq!((harness.ended[0].done, harness.ended[0].outcome.as_str()), (true, "the pause is over"));
}

#[test]
fn a_pause_that_is_over_says_so_where_the_pod_is_started_again() {
    let mut harness = at_rest();
    pause(&mut harness, Some(5));
    harness.round(usize::MAX);
    harness.now += Duration::minutes(5);
    harness.round(usize::MAX);
    assert!(text(&harness).starts_with("t/a: the pause by alice@host is over\n"), "{}", text(&harness));
    assert_eq!(deeds(&harness), ["stop", "upload", "start"]);
}

#[test]
fn a_pause_without_an_end_ends_when_somebody_resumes_it() {
    let mut harness = at_rest();
    pause(&mut harness, None);
    harness.settle();
    harness.now += Duration::days(400);
    harness.settle();
    assert_eq!(deeds(&harness), ["stop"]);
    assert!(matches!(harness.plans.last().unwrap().pods[&id()], Decision::Hold(Hold::Paused(_))));
    harness.ask(RequestSpec::Resume { pod: id() });
    harness.round(usize::MAX);
    assert!(text(&harness).starts_with("t/a: alice@host resumed it\n"), "{}", text(&harness));
    harness.settle();
    assert_eq!(unsatisfied(&harness), None);
    assert!(harness.requests.is_empty() && harness.ended.iter().all(|ended| ended.done));
}

#[test]
fn a_pause_and_a_resume_between_two_rounds_touch_nothing() {
    let mut harness = at_rest();
    pause(&mut harness, None);
    harness.ask(RequestSpec::Resume { pod: id() });
    harness.settle();
    assert_eq!(deeds(&harness), Vec::<String>::new());
    assert!(harness.requests.is_empty());
}

#[test]
fn a_paused_pod_that_is_removed_and_comes_back_is_still_paused() {
    let mut harness = at_rest();
    pause(&mut harness, None);
    harness.settle();
    harness.desired = build(&[]);
    harness.round(usize::MAX);
    harness.desired = build(&[running("a", 'm', 'g')]);
    harness.settle();
    assert_eq!(deeds(&harness), ["stop"]);
    assert_eq!(harness.requests.len(), 1);
}

#[test]
fn every_situation_is_stopped_by_a_pause_and_settles_once_it_is_resumed() {
    for mut harness in super::exhaustive::to_run() {
        pause(&mut harness, None);
        harness.settle();
        let live = |state: &ContainerState| matches!(state, ContainerState::Running { .. } | ContainerState::Paused);
        assert!(!harness.engine.world().containers.values().any(|container| live(&container.state)));
        let writes = harness.engine.world().writes.len();
        assert_eq!(harness.round(usize::MAX), 0);
        assert_eq!(harness.engine.world().writes.len(), writes, "a pause is quiet");
        harness.ask(RequestSpec::Resume { pod: id() });
        harness.settle();
        assert_eq!(unsatisfied(&harness), None);
        assert!(harness.requests.is_empty());
    }
}

#[test]
fn every_situation_settles_after_a_restart_that_was_cut_off_anywhere() {
    for steps in 0..4 {
        for mut harness in super::exhaustive::to_run() {
            harness.ask(restart());
            harness.now += Duration::seconds(1);
            harness.round(steps);
            harness.restart();
            harness.settle();
            assert_eq!(unsatisfied(&harness), None);
            harness.now += Duration::hours(2);
            harness.settle();
            assert!(harness.requests.is_empty(), "{:?}\n{}", harness.requests, harness.plans.last().unwrap());
        }
    }
}

#[test]
fn expired_requests_are_refused_and_do_nothing() {
    let mut harness = at_rest();
    harness.ask(restart());
    harness.ask(RequestSpec::Approve { plan: "0123456789ab".into() });
    harness.now += Duration::hours(25);
    harness.settle();
    assert_eq!(deeds(&harness), Vec::<String>::new());
    assert!(harness.requests.is_empty() && harness.ended.iter().all(|ended| !ended.done), "{:?}", harness.ended);
}
