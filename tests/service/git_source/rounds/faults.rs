//! Law 5 with a remote: no sequence of its faults removes or replaces anything.

use std::fs;

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{Manner, Stage, pod};
use crate::testkit::rows;
use crate::testkit::wait::eventually;

/// How many sequences of faults are tried.
const CASES: u32 = 8;

/// A fault of a remote.
#[derive(Debug, Clone)]
enum Fault {
    /// The connection is reset.
    Reset,
    /// It answers with this status.
    Status(u16),
    /// It answers, but not with git's protocol.
    Nonsense(String),
    /// The repository is gone.
    Gone,
    /// The branch is gone.
    BranchGone,
    /// A commit without any manifests was pushed.
    Emptied,
    /// A commit with a mistake in a manifest was pushed.
    Mistake(String),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Reset),
        prop::sample::select(vec![401u16, 403, 404, 429, 500, 503]).prop_map(Fault::Status),
        "[ -~\n]{0,64}".prop_map(Fault::Nonsense),
        Just(Fault::Gone),
        Just(Fault::BranchGone),
        Just(Fault::Emptied),
        "[\\[{}:!&*\"'\t%@`]{1,8}".prop_map(Fault::Mistake),
    ]
}

impl Stage {
    fn strike(&self, fault: &Fault) {
        let (server, repository) = (&self.server, &self.repository);
        match fault {
            Fault::Reset => server.answers(Manner::HangsUp),
            Fault::Status(status) => server.answers(Manner::Says(*status, String::new())),
            Fault::Nonsense(body) => server.answers(Manner::Says(200, body.clone())),
            Fault::Gone => fs::rename(repository.bare(), repository.path("away")).unwrap(),
            Fault::BranchGone => {
                crate::testkit::repository::git(&repository.bare(), &["update-ref", "-d", "refs/heads/main"]);
            }
            Fault::Emptied => {
                repository.run(&["rm", "--quiet", "-r", "."]);
                repository.push_all("all gone");
            }
            Fault::Mistake(text) => {
                repository.push(&[("bob.yaml", text)], "a mistake");
            }
        }
    }

    fn mend(&self, number: usize) {
        self.server.answers(Manner::Well);
        if self.repository.path("away").exists() {
            fs::rename(self.repository.path("away"), self.repository.bare()).unwrap();
        }
        for tenant in ["alice", "bob"] {
            let (name, text) = pod(tenant, "one");
            self.repository.write(&[(&name, &text)]);
        }
        self.repository.write(&[("README.md", &number.to_string())]);
        self.repository.push_all("in order again");
    }
}

#[test]
fn no_fault_of_a_remote_ever_removes_or_replaces_a_pod() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut stage = runtime.block_on(Stage::new());
    let git = runtime.block_on(async { stage.start() });
    let (alice, bob) = runtime.block_on(async { (stage.runs("alice", "").await, stage.runs("bob", "").await) });
    let accepted = runtime.block_on(eventually("it is accepted", async || stage.overview().source.accepted)).clone();
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    let mends = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(fault(), 1..4), |faults| {
        runtime.block_on(async {
            for fault in &faults {
                stage.strike(fault);
                stage.woken.notify_one();
                let what = format!("{fault:?} is told");
                eventually(&what, async || (!stage.problems().is_empty()).then_some(())).await;
                let source = stage.overview().source;
                let runs = (stage.running("alice"), stage.running("bob"));
                if source.accepted.as_ref() != Some(&accepted) || runs != (vec![alice.clone()], vec![bob.clone()]) {
                    return Err(TestCaseError::fail(format!("{fault:?}: {runs:?}, {source:?}")));
                }
                mends.set(mends.get() + 1);
                stage.mend(mends.get());
                stage.woken.notify_one();
                eventually("it is well again", async || stage.problems().is_empty().then_some(())).await;
            }
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(git.health().last_error.is_none() && mends.get() >= CASES as usize);
    let events = runtime.block_on(rows::events(&stage.store, None, 10_000));
    let harm = events.iter().filter(|row| ["undeclared", "removed", "replaced"].contains(&row.kind.as_str()));
    assert_eq!(harm.count(), 0);
    runtime.block_on(stage.stop());
}
