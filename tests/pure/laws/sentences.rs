//! The plan's text, one situation each: what people read is what is compared.

use std::collections::BTreeMap;

use agentpod::core::{
    decide::{
        plan::{Allowance, FleetState, MaxUnavailable, PodState, Rejected, RemovalLimit, Uploaded, plan},
        retry::{FailureKind, Retry},
    },
    names::PodId,
    observe::{
        actual::{Actual, ContainerState, Exit},
        health::{Health, Readiness},
    },
};
use time::{Duration, OffsetDateTime};

use super::{
    fleet::{DesiredCase, build, running},
    harness::{Harness, by_pod},
};
use agentpod::core::decide::plan::InfraState;
use agentpod::core::declare::infra::InfraId;

pub(super) const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00 UTC);

/// One pod `t/a`, declared as given, with containers of the digests of these modes in these states.
pub(super) struct Scene {
    pub(super) harness: Harness,
    id: PodId,
    known: PodState,
}

pub(super) fn scene(desired: Option<DesiredCase>, containers: &[(char, ContainerState)]) -> Scene {
    let id: PodId = "t/a".parse().unwrap();
    let harness = Harness::new(build(&desired.into_iter().collect::<Vec<_>>()));
    for (mode, state) in containers {
        let pod = &build(&[running("a", *mode, 'g')]).pods[&id];
        harness.engine.place(&id, &pod.container.digest, &pod.container.blueprint.volume, state.clone());
    }
    // The hot file of mode m, uploaded, is what a quiet pod has.
    let pod = &build(&[running("a", 'm', 'g')]).pods[&id];
    let uploaded = Uploaded { container: pod.container.name.clone(), digest: pod.hot.clone().unwrap() };
    Scene { harness, id, known: PodState { uploaded: Some(uploaded), ..PodState::default() } }
}

impl Scene {
    pub(super) fn knowing(mut self, change: impl FnOnce(&mut PodState)) -> Self {
        change(&mut self.known);
        self
    }

    /// The plan's text without its last line, digests by mode.
    pub(super) fn text(&self) -> String {
        let seen = by_pod(super::harness::block_on(agentpod::engine::Engine::observe(&self.harness.engine)).unwrap());
        let pods = [(self.id.clone(), self.known.clone())].into();
        let fleet = fleet_state(Duration::minutes(10), pods);
        let mut text = plan(&self.harness.desired, &Actual::Observed(seen), &fleet).to_string();
        for mode in ['m', 'n'] {
            let digest = digest(mode);
            text = text.replace(digest.short(), &format!("{}", mode.to_ascii_uppercase()));
        }
        text.rsplit_once('\n').map_or(String::new(), |(text, _)| text.to_owned())
    }
}

pub(super) fn fleet_state(removal_grace: Duration, pods: BTreeMap<PodId, PodState>) -> FleetState {
    let (removals, revision, requests) = (RemovalLimit::default(), "r1".to_owned(), Vec::new());
    let infra = [(InfraId::Network("agentpod-net".into()), InfraState::present())].into();
    let (max_unavailable, removal_settle) = (MaxUnavailable(100), Duration::ZERO);
    FleetState { now: NOON, removal_grace, removal_settle, removals, max_unavailable, revision, requests, pods, infra }
}

pub(super) fn digest(mode: char) -> agentpod::core::digest::Digest {
    build(&[running("a", mode, 'g')]).pods[&"t/a".parse().unwrap()].container.digest.clone()
}

pub(super) fn name(mode: char) -> String {
    build(&[running("a", mode, 'g')]).pods[&"t/a".parse().unwrap()].container.name.clone()
}

pub(super) fn up() -> ContainerState {
    ContainerState::Running { since: Some(NOON) }
}

pub(super) fn down(code: i64) -> ContainerState {
    ContainerState::Exited(Exit { code, ..Exit::default() })
}

pub(super) fn health(mode: char, ready: bool, since: OffsetDateTime) -> Option<Health> {
    let readiness = if ready { Readiness::Ready } else { Readiness::Starting };
    let mut health = Health { readiness, ..Health::new(name(mode), since, since) };
    health.last_failure = (!ready).then(|| "/health answers 503".into());
    Some(health)
}

#[test]
fn a_pod_without_a_container_gets_one() {
    assert_eq!(
        scene(Some(running("a", 'm', 'g')), &[]).text(),
        "t/a: it has no container
  pull agentpod/echo:1 unless it is present
  create network agentpod-net unless it exists
  create volume test_t_a unless it exists
  create t_a-M
  upload its files into t_a-M
  start t_a-M"
    );
}

#[test]
fn a_changed_pod_stops_its_old_container_only_when_the_new_one_is_made_and_filled() {
    assert_eq!(
        scene(Some(running("a", 'n', 'g')), &[('m', up())]).text(),
        "t/a: its declaration changed (M → N)
  pull agentpod/echo:1 unless it is present
  create network agentpod-net unless it exists
  create volume test_t_a unless it exists
  create t_a-N
  upload its files into t_a-N
  stop t_a-M
  start t_a-N"
    );
}

#[test]
fn the_old_container_is_kept_until_the_new_one_is_ready_and_then_removed() {
    let both = [('n', down(0)), ('m', up())];
    let waiting = scene(Some(running("a", 'm', 'g')), &both);
    assert_eq!(waiting.text(), "t/a: held, its new container is not ready yet; the previous one is kept until it is");
    let ready = waiting.knowing(|known| known.health = health('m', true, NOON));
    assert_eq!(
        ready.text(),
        "t/a: its new container is ready, so the previous one is no longer needed\n  remove t_a-N; its data volume is kept"
    );
}

#[test]
fn a_new_container_that_never_becomes_ready_gives_way_to_the_old_one() {
    let both = [('n', down(0)), ('m', up())];
    let late = scene(Some(running("a", 'm', 'g')), &both)
        .knowing(|known| known.health = health('m', false, NOON - Duration::seconds(30)));
    assert_eq!(
        late.text(),
        "t/a: its new container failed, so the previous one is started (not ready within 30s: /health answers 503)\n  stop t_a-M\n  start t_a-N"
    );
    let rejected = Some(Rejected { digest: digest('m'), why: "too slow".into() });
    let after = scene(Some(running("a", 'm', 'g')), &[('n', up())]).knowing(|known| known.rejected = rejected);
    assert_eq!(after.text(), "t/a: held, rolled back because M failed (too slow); change the manifest to try again");
}

#[test]
fn a_changed_hot_file_is_uploaded_into_the_running_container() {
    let changed = scene(Some(running("a", 'm', 'h')), &[('m', up())]);
    assert_eq!(
        changed.text(),
        "t/a: a file that it reloads while running changed\n  upload changed files into t_a-M while it runs"
    );
    assert_eq!(scene(Some(running("a", 'm', 'g')), &[('m', up())]).text(), "");
}

#[test]
fn an_ended_container_is_started_and_one_that_was_never_started_too() {
    let start = "  upload its files into t_a-M\n  start t_a-M";
    assert_eq!(
        scene(Some(running("a", 'm', 'g')), &[('m', down(137))]).text(),
        format!("t/a: its container exited (exit code 137)\n{start}")
    );
    assert_eq!(
        scene(Some(running("a", 'm', 'g')), &[('m', ContainerState::Created)]).text(),
        format!("t/a: its container was created but not started\n{start}")
    );
}

#[test]
fn a_pod_declared_stopped_is_stopped_and_left_alone_after_that() {
    let desired = || Some(DesiredCase { stopped: true, ..running("a", 'm', 'g') });
    assert_eq!(scene(desired(), &[('m', up())]).text(), "t/a: it is declared stopped\n  stop t_a-M");
    assert_eq!(scene(desired(), &[('m', down(0))]).text(), "");
}

#[test]
fn a_removed_pod_stops_at_once_and_goes_after_its_grace() {
    let since = |minutes| {
        move |known: &mut PodState| {
            let at = NOON - Duration::minutes(minutes);
            known.undeclared_since = Some(at);
            known.removal_allowed = Some(Allowance { at, revision: None });
        }
    };
    let live = scene(None, &[('m', up())]).knowing(since(0));
    assert_eq!(live.text(), "t/a: it is no longer declared\n  stop t_a-M");
    let fresh = scene(None, &[('m', down(0))]).knowing(since(9));
    assert_eq!(fresh.text(), "t/a: held, it was removed; its stopped container is kept until 12:01:00 UTC");
    let old = scene(None, &[('m', down(0))]).knowing(since(10));
    assert_eq!(old.text(), "t/a: it is no longer declared\n  remove t_a-M; its data volume is kept");
}

#[test]
fn a_pod_that_failed_waits_and_says_why_but_a_changed_declaration_is_tried_at_once() {
    let retry = |target: &str| Retry {
        target: target.parse().unwrap(),
        failures: 3,
        at: NOON + Duration::seconds(40),
        why: "no such image".into(),
        kind: FailureKind::Step,
    };
    let same = scene(Some(running("a", 'm', 'g')), &[]).knowing(|known| {
        let pod = &build(&[running("a", 'm', 'g')]).pods[&"t/a".parse().unwrap()];
        known.retry =
            Some(retry(&format!("running:{}:{}", pod.container.digest.short(), pod.hot.as_ref().unwrap().short())));
    });
    assert_eq!(same.text(), "t/a: held, attempt 3 failed (no such image); next attempt at 12:00:40 UTC");
    let other = scene(Some(running("a", 'm', 'g')), &[]).knowing(|known| known.retry = Some(retry("running:other")));
    assert!(other.text().starts_with("t/a: it has no container"), "{}", other.text());
}

#[test]
fn a_container_that_keeps_ending_is_stopped_and_rested() {
    let looping =
        scene(Some(running("a", 'm', 'g')), &[('m', ContainerState::Restarting(Exit { code: 3, ..Exit::default() }))]);
    let looping = looping.knowing(|known| known.looping = Some(name('m')));
    assert_eq!(looping.text(), "t/a: its container restarts too often\n  stop t_a-M");
}

#[test]
fn what_cannot_be_known_or_read_is_held_with_the_reason() {
    let odd = scene(Some(running("a", 'm', 'g')), &[('m', ContainerState::Unknown("being removed".into()))]);
    assert_eq!(odd.text(), "t/a: held, its state is unknown: container t_a-M: being removed");
    let secret = scene(Some(DesiredCase { secret_missing: true, ..running("a", 'm', 'g') }), &[]);
    assert_eq!(
        secret.text(),
        "t/a: held, it has secrets that cannot be read: KEY from the environment variable MISSING: it was not read"
    );
    assert_eq!(
        scene(Some(running("a", 'm', 'g')), &[('m', ContainerState::Paused)]).text(),
        "t/a: held, its container was paused outside AgentPod; run docker unpause to continue"
    );
    let busy = scene(Some(running("a", 'm', 'g')), &[]).knowing(|known| known.busy = true);
    assert_eq!(busy.text(), "t/a: held, earlier steps are still running");
}

#[test]
fn an_engine_that_does_not_answer_holds_every_pod() {
    let desired = build(&[running("a", 'm', 'g'), running("b", 'm', 'g')]);
    let fleet = fleet_state(Duration::ZERO, Default::default());
    let plan = plan(&desired, &Actual::Unknown("no socket".into()), &fleet);
    assert_eq!(
        plan.to_string(),
        "network agentpod-net: held, its state is unknown: no socket\nt/a: held, its state is unknown: no socket\nt/b: held, its state is unknown: no socket\n0 to change, 3 held, 0 as declared"
    );
}

#[test]
fn a_container_of_an_unknown_pod_is_left_alone_with_a_reason() {
    let text = scene(None, &[('m', up())]).text();
    assert!(
        text.starts_with("t/a: held, its container has this instance's label, but this database has never had the pod"),
        "{text}"
    );
}

#[test]
fn a_container_that_cannot_be_started_gives_way_to_the_old_one_at_once_and_at_the_second_time_for_good() {
    let both = [('n', down(0)), ('m', down(128))];
    let failed = |failures, kind| {
        let pod = &build(&[running("a", 'm', 'g')]).pods[&"t/a".parse().unwrap()];
        let target = format!("running:{}:{}", pod.container.digest.short(), pod.hot.as_ref().unwrap().short());
        Retry {
            target: target.parse().unwrap(),
            failures,
            at: NOON + Duration::seconds(10),
            why: "refused".into(),
            kind,
        }
    };
    let scene = |failures, kind| {
        scene(Some(running("a", 'm', 'g')), &both).knowing(|known| known.retry = Some(failed(failures, kind))).text()
    };
    let goes_back = "t/a: its new container could not be started, so the previous one runs until the next attempt (refused)\n  start t_a-N";
    assert_eq!(scene(1, FailureKind::Refused), goes_back);
    assert_eq!(scene(7, FailureKind::Step), goes_back, "what is the engine's fault never rejects a container");
    assert_eq!(
        scene(2, FailureKind::Refused),
        "t/a: its new container failed, so the previous one is started (it could not be started: refused)\n  start t_a-N"
    );
}

#[test]
fn a_rejected_container_that_is_left_is_tidied_away_under_its_own_name() {
    let rejected = Some(Rejected { digest: digest('m'), why: "too slow".into() });
    let left =
        scene(Some(running("a", 'm', 'g')), &[('n', up()), ('m', down(0))]).knowing(|known| known.rejected = rejected);
    assert_eq!(
        left.text(),
        "t/a: its new container failed and is no longer needed\n  remove t_a-M; its data volume is kept"
    );
}

#[test]
fn a_container_off_its_network_is_started_anew_on_it() {
    let cut_off = scene(Some(running("a", 'm', 'g')), &[('m', up())]);
    cut_off.harness.engine.world().containers.get_mut(&name('m')).unwrap().networks.clear();
    assert_eq!(
        cut_off.text(),
        "t/a: its container is not attached to its network agentpod-net
  stop t_a-M
  create network agentpod-net unless it exists
  attach t_a-M to network agentpod-net
  start t_a-M"
    );
}

#[test]
fn a_container_renamed_by_hand_is_the_same_container() {
    let renamed = |states: &[(char, ContainerState)], desired| {
        let scene = scene(Some(desired), states);
        let mut world = scene.harness.engine.world();
        let container = world.containers.remove(&name('m')).unwrap();
        world.containers.insert("by-hand".into(), container);
        drop(world);
        scene.text()
    };
    assert_eq!(renamed(&[('m', up())], running("a", 'm', 'g')), "");
    assert_eq!(
        renamed(&[('m', down(1))], running("a", 'm', 'g')),
        "t/a: its container exited (exit code 1)\n  upload its files into by-hand\n  start by-hand"
    );
    let changed = renamed(&[('m', up())], running("a", 'n', 'g'));
    assert!(changed.starts_with("t/a: its declaration changed (M → N)") && changed.contains("\n  stop by-hand\n"));
}

#[test]
fn while_a_secret_cannot_be_read_what_stands_is_kept_going_with_what_it_has() {
    let blind = |states: &[(char, ContainerState)]| {
        scene(Some(DesiredCase { secret_missing: true, ..running("a", 'm', 'g') }), states)
    };
    let held =
        "t/a: held, it has secrets that cannot be read: KEY from the environment variable MISSING: it was not read";
    assert_eq!(blind(&[('n', down(1))]).text(), "t/a: its container exited (exit code 1)\n  start t_a-N");
    assert_eq!(blind(&[('n', up())]).text(), held);
    assert_eq!(blind(&[('n', ContainerState::Created)]).text(), held, "its files may not be in it");
    assert_eq!(
        blind(&[('n', down(0)), ('m', up())]).knowing(|known| known.health = health('m', true, NOON)).text(),
        "t/a: its new container is ready, so the previous one is no longer needed\n  remove t_a-N; its data volume is kept"
    );
    let looping = ContainerState::Restarting(Exit { code: 3, ..Exit::default() });
    let rested = blind(&[('n', looping)]).knowing(|known| known.looping = Some(name('n')));
    assert_eq!(rested.text(), "t/a: its container restarts too often\n  stop t_a-N");
    let resting = |at: OffsetDateTime| {
        let retry = Retry {
            target: "running:before".parse().unwrap(),
            failures: 1,
            at,
            why: "restarted".into(),
            kind: FailureKind::Crash,
        };
        blind(&[('n', down(3))]).knowing(|known| known.retry = Some(retry)).text()
    };
    assert!(resting(NOON + Duration::minutes(1)).starts_with("t/a: held, attempt 1 failed (restarted)"));
    assert_eq!(resting(NOON), "t/a: its container exited (exit code 3)\n  start t_a-N");
}

#[test]
fn a_pod_declared_again_within_its_grace_is_simply_started_again() {
    let back = scene(Some(running("a", 'm', 'g')), &[('m', down(0))])
        .knowing(|known| known.undeclared_since = Some(NOON - Duration::minutes(5)));
    assert_eq!(back.text(), "t/a: its container exited (exit code 0)\n  upload its files into t_a-M\n  start t_a-M");
}
