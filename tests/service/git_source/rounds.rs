//! A reconciler that follows a repository: rounds never wait for it, and its faults change nothing.

mod edits;
mod faults;

use std::{sync::Arc, time::Duration};

use agentpod::{
    core::{
        decide::request::{Request, RequestSpec},
        observe::actual::ContainerState,
    },
    engine::memory::MemoryEngine,
    reconcile::{DaemonStatus, Parts, Reconciler},
    secrets::{Identities, SecretReader},
    source::{Git, Source, git::GitSettings},
    store::Store,
};
use time::OffsetDateTime;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::settings;
use crate::testkit::{
    git_http::{GitHttp, Manner},
    manifests,
    reconciler::{Running, parts},
    repository::Repository,
    store::fresh,
    wait::eventually,
};

struct Stage {
    repository: Repository,
    server: GitHttp,
    engine: Arc<MemoryEngine>,
    store: Arc<Store>,
    woken: Arc<Notify>,
    running: Option<Running>,
}

/// A tenant with one pod of the same name.
fn pod(tenant: &str, mode: &str) -> (String, String) {
    let pod = manifests::pod(&format!("{tenant}/pod"), &format!("subdomain: {tenant}, config: {{mode: {mode}}}"));
    (format!("{tenant}.yaml"), manifests::together(&[manifests::tenant(tenant), pod]))
}

impl Stage {
    async fn new() -> Self {
        let repository = Repository::new();
        for tenant in ["alice", "bob"] {
            let (name, text) = pod(tenant, "one");
            repository.write(&[(&name, &text)]);
        }
        repository.push_all("two pods");
        let server = GitHttp::start(repository.root(), None).await;
        let store = Arc::new(fresh().await.0);
        let engine = Arc::new(MemoryEngine::default());
        Self { repository, server, engine, store, woken: Arc::default(), running: None }
    }

    fn start(&mut self) -> Git {
        let git = Git::new(GitSettings {
            interval: Duration::from_hours(1),
            ..settings(&self.server.url(), self.repository.root())
        });
        let secrets = SecretReader::new(Identities::new(vec![self.repository.path("age.key")]));
        let parts = Parts { secrets, ..parts(&self.engine, &self.store, Source::Git(git.clone())) };
        let ((reconciler, view), stop) = (Reconciler::new(parts), CancellationToken::new());
        reconciler.wake_on(self.woken.clone(), stop.clone());
        let reconciler = (reconciler.with_tick(Duration::from_millis(200)), view);
        self.running = Some(Running::start(reconciler, stop, None));
        git
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    fn overview(&self) -> DaemonStatus {
        self.running.as_ref().unwrap().overview()
    }

    /// The running containers of a tenant.
    fn running(&self, tenant: &str) -> Vec<String> {
        let world = self.engine.world();
        let runs = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
        let mine = world.containers.iter().filter(|(_, one)| one.pod.to_string() == format!("{tenant}/pod"));
        mine.filter(|(_, one)| runs(&one.state)).map(|(name, _)| name.clone()).collect()
    }

    /// Waits until one container of a tenant runs other than `before`.
    async fn runs(&self, tenant: &str, before: &str) -> String {
        eventually("a container runs", async || match &self.running(tenant)[..] {
            [one] if one != before => Some(one.clone()),
            _ => None,
        })
        .await
    }

    fn problems(&self) -> String {
        self.overview().source.problems.iter().map(ToString::to_string).collect()
    }
}

#[tokio::test]
async fn a_push_replaces_the_pod_it_changes_and_no_other_and_many_deliveries_are_one_fetch() {
    let mut stage = Stage::new().await;
    stage.start();
    let (alice, bob) = (stage.runs("alice", "").await, stage.runs("bob", "").await);
    stage.server.asked();
    let (name, text) = pod("alice", "two");
    stage.repository.push(&[(&name, &text)], "alice speaks otherwise");
    for _ in 0..1000 {
        stage.woken.notify_one();
        tokio::task::yield_now().await;
    }
    stage.runs("alice", &alice).await;
    assert_eq!(stage.running("bob"), [bob]);
    let asked = stage.server.asked();
    let looks = asked.iter().filter(|one| one.starts_with("GET")).count();
    assert_eq!(looks, 1, "each look begins with one, whatever it fetches then: {asked:?}");
    stage.stop().await;
}

#[tokio::test]
async fn a_sync_is_answered_by_a_fetch_that_started_afterwards() {
    let mut stage = Stage::new().await;
    stage.start();
    let alice = stage.runs("alice", "").await;
    let (name, text) = pod("alice", "two");
    stage.repository.push(&[(&name, &text)], "alice speaks otherwise");
    let answered = async |stage: &Stage| {
        let sync = Request { what: RequestSpec::Sync, actor: "ops".into() };
        let id = stage.store.add_request(&sync, OffsetDateTime::now_utc()).await.unwrap();
        eventually("the sync is answered", async || stage.store.request(id).await.unwrap()?.outcome).await
    };
    let before = eventually("a revision is in force", async || stage.overview().source.accepted).await;
    let outcome = answered(&stage).await;
    assert!(outcome.starts_with("the source was read; revision ") && !outcome.contains(&before[..12]), "{outcome}");
    stage.runs("alice", &alice).await;
    // No change is an answer too.
    assert_eq!(answered(&stage).await, outcome);
    stage.stop().await;
}

#[tokio::test]
async fn a_failing_remote_changes_nothing_and_is_reported_until_it_recovers() {
    let mut stage = Stage::new().await;
    stage.start();
    let (alice, bob) = (stage.runs("alice", "").await, stage.runs("bob", "").await);
    let accepted = eventually("it is accepted", async || stage.overview().source.accepted).await;
    for manner in [Manner::HangsUp, Manner::Says(500, String::new()), Manner::Says(401, String::new())] {
        stage.server.answers(manner.clone());
        stage.woken.notify_one();
        eventually(&format!("{manner:?} is told"), async || (!stage.problems().is_empty()).then_some(())).await;
        assert_eq!(stage.overview().source.accepted.as_ref(), Some(&accepted));
        stage.server.answers(Manner::Well);
        stage.woken.notify_one();
        eventually("it is well again", async || stage.problems().is_empty().then_some(())).await;
    }
    // Emptied by a push, with the same result.
    stage.repository.run(&["rm", "--quiet", "-r", "."]);
    stage.repository.push_all("all gone");
    stage.woken.notify_one();
    eventually("it is reported", async || stage.problems().contains("no manifest").then_some(())).await;
    assert_eq!((stage.running("alice"), stage.running("bob")), (vec![alice], vec![bob]));
    // It was fetched, so it is not stale, and it is not a revision. One event reports it, even across a restart.
    let kept = async |stage: &Stage| stage.store.source_refusal().await.unwrap();
    let refusal = eventually("it is kept", async || kept(&stage).await).await;
    let message = &refusal.message;
    assert!(message.contains("no manifest") && !message.contains('\n'), "{message}");
    stage.stop().await;
    stage.start();
    eventually("it is reported again", async || stage.problems().contains("no manifest").then_some(())).await;
    let rounds = stage.overview().rounds;
    eventually("rounds are made", async || (stage.overview().rounds > rounds).then_some(())).await;
    assert_eq!(kept(&stage).await, Some(refusal));
    stage.repository.run(&["revert", "--no-edit", "HEAD"]);
    stage.repository.run(&["push", "--quiet", "origin", "HEAD"]);
    stage.woken.notify_one();
    eventually("it can be used again", async || kept(&stage).await.is_none().then_some(())).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_start_waits_briefly_for_a_hanging_remote_and_continues_with_the_stored_revision() {
    let mut stage = Stage::new().await;
    stage.start();
    stage.runs("alice", "").await;
    eventually("it is accepted", async || stage.overview().source.accepted).await;
    stage.stop().await;
    stage.server.answers(Manner::Never);
    let git = stage.start();
    let begun = Instant::now();
    let rounds = async |more: u64| {
        let before = stage.overview().rounds;
        eventually("rounds are made", async || (stage.overview().rounds > before + more).then_some(())).await;
    };
    rounds(3).await;
    assert!(git.is_awaited() && stage.problems().is_empty(), "there is no problem yet");
    eventually("what is remembered is in force", async || stage.overview().source.accepted).await;
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(stage.problems().contains("has not answered since the start"), "{}", stage.problems());
    rounds(3).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_start_with_a_refusing_remote_continues_at_once_with_the_stored_revision() {
    let mut stage = Stage::new().await;
    stage.start();
    let alice = stage.runs("alice", "").await;
    eventually("it is accepted", async || stage.overview().source.accepted).await;
    stage.stop().await;
    stage.server.answers(Manner::HangsUp);
    let begun = Instant::now();
    stage.start();
    eventually("what is remembered is in force", async || stage.overview().source.accepted).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(stage.running("alice"), [alice]);
    stage.stop().await;
}
