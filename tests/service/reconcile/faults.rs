//! Law 5 on whole rounds: whatever happens to the source's files that is no wish, no pod is removed by it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use agentpod::core::{declare::desired_status::DesiredStatus, observe::actual::ContainerState};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::stage::Stage;
use crate::testkit::rows;
use crate::testkit::wait::eventually;

const TICK: Duration = Duration::from_millis(20);
const PODS: usize = 5;
/// Sequences of faults that are tried; each fault is looked at for several rounds.
const CASES: u32 = 16;

/// What can happen to the source's files.
#[derive(Debug, Clone)]
enum Fault {
    /// The folder is gone: an unmounted disk.
    Missing,
    /// Something else stands in its place.
    NotAFolder,
    /// It is there, and empty: an empty mount.
    Emptied,
    /// A file was cut at a part of its length: an interrupted write, a full disk.
    Cut(usize, f64),
    /// A file holds something else.
    Overwritten(usize, Vec<u8>),
    /// A line somewhere in a file is broken.
    BrokenLine(usize, usize, String),
    /// A file cannot be read: its link leads nowhere, or in a circle.
    Unreadable(usize, bool),
}

fn fault() -> impl Strategy<Value = Fault> {
    let file = 0..=PODS;
    prop_oneof![
        1 => Just(Fault::Missing),
        1 => Just(Fault::NotAFolder),
        1 => Just(Fault::Emptied),
        4 => (file.clone(), 0.0..1.0).prop_map(|(file, part)| Fault::Cut(file, part)),
        1 => (file.clone(), junk()).prop_map(|(file, bytes)| Fault::Overwritten(file, bytes)),
        2 => (file.clone(), 0usize..8, "[\\[{}:!&*\"'\t%@`a-z]{1,8}").prop_map(|(file, line, text)| Fault::BrokenLine(file, line, text)),
        1 => (file, any::<bool>()).prop_map(|(file, circle)| Fault::Unreadable(file, circle)),
    ]
}

fn junk() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        "[ -~\n]{0,64}".prop_map(String::into_bytes),
        Just(b"# only a comment\n".to_vec()),
        Just(b"---\n---\n".to_vec()),
        Just(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n".to_vec()),
    ]
}

/// The file of a number: each pod has its own, and the last one has the tenant.
fn name(number: usize) -> String {
    if number == PODS { "tenant.yaml".into() } else { format!("p{number}.yaml") }
}

fn text(number: usize) -> String {
    let head = "# yaml-language-server: $schema=manifest.schema.json\napiVersion: agentpod.dev/v1\n";
    match number {
        PODS => format!("{head}kind: Tenant\nmetadata: {{name: alice}}\n"),
        _ => format!(
            "{head}kind: Pod\nmetadata: {{name: p{number}, tenant: alice}}\nspec:\n  adapter: echo\n  subdomain: number-{number}\n"
        ),
    }
}

/// Puts the folder in order, beside it first and then in one step.
fn restore(stage: &Stage) {
    let (folder, beside) = (stage.path("manifests"), stage.path("beside"));
    fs::create_dir(&beside).unwrap();
    for number in 0..=PODS {
        fs::write(beside.join(name(number)), text(number)).unwrap();
    }
    remove(&folder);
    fs::rename(beside, folder).unwrap();
}

fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
}

fn strike(folder: &Path, fault: &Fault) {
    let file = |number: &usize| -> PathBuf { folder.join(name(*number)) };
    // Where an earlier fault took the folder or the file away, there is nothing more to break.
    match fault {
        Fault::Missing => remove(folder),
        Fault::NotAFolder => {
            remove(folder);
            fs::write(folder, "in the way").unwrap();
        }
        Fault::Emptied => {
            remove(folder);
            fs::create_dir(folder).unwrap();
        }
        Fault::Cut(number, part) => {
            if let Ok(bytes) = fs::read(file(number)) {
                let _ = fs::write(file(number), &bytes[..(bytes.len() as f64 * part) as usize]);
            }
        }
        Fault::Overwritten(number, bytes) => {
            let _ = fs::write(file(number), bytes);
        }
        Fault::BrokenLine(number, line, broken) => {
            if let Ok(text) = fs::read_to_string(file(number)) {
                let mut lines: Vec<&str> = text.lines().collect();
                if let Some(one) = lines.get_mut(*line) {
                    *one = broken;
                }
                let _ = fs::write(file(number), lines.join("\n"));
            }
        }
        Fault::Unreadable(number, circle) => {
            if folder.is_dir() {
                remove(&file(number));
                let target = if *circle { name(*number) } else { "nowhere.yaml".into() };
                symlink(target, file(number)).unwrap();
            }
        }
    }
}

/// What is removed, stopped or forgotten; nothing, it should be.
async fn harm(stage: &Stage) -> Vec<String> {
    let rows = rows::pods(&stage.store).await;
    let mut harm: Vec<String> = rows
        .iter()
        .filter(|row| row.line.desired != DesiredStatus::Running || row.undeclared_at.is_some())
        .map(|row| format!("{} is no longer declared", row.line.id))
        .collect();
    let events = rows::events(&stage.store, None, 10_000).await;
    let removals = events.iter().filter(|row| ["undeclared", "removed"].contains(&row.kind.as_str()));
    harm.extend(removals.map(|row| row.message.clone()));
    let world = stage.engine.world();
    for number in 0..PODS {
        let runs = world.containers.values().any(|one| {
            one.pod.to_string() == format!("alice/p{number}") && matches!(one.state, ContainerState::Running { .. })
        });
        if !runs {
            harm.push(format!("p{number} has no container that runs"));
        }
    }
    if world.volumes.len() != PODS {
        harm.push(format!("there are {} volumes", world.volumes.len()));
    }
    harm
}

#[test]
fn no_fault_of_the_source_ever_removes_a_pod() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut stage = runtime.block_on(Stage::new(""));
    restore(&stage);
    runtime.block_on(async { stage.start(TICK) });
    let unharmed = async || harm(&stage).await.is_empty().then_some(());
    runtime.block_on(eventually("all run", unharmed));
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let refused = std::cell::Cell::new(0);
    let sequences = prop::collection::vec(prop::collection::vec(fault(), 1..3), 1..4);
    let outcome = TestRunner::new(config).run(&sequences, |sequence| {
        runtime.block_on(async {
            for faults in &sequence {
                faults.iter().for_each(|fault| strike(&stage.path("manifests"), fault));
                stage.observed_again().await;
                refused.set(refused.get() + usize::from(!stage.overview().source.problems.is_empty()));
                // A change of one pod may be carried out; that takes a moment in which its container does not run.
                let calm =
                    tokio::time::timeout(Duration::from_secs(10), eventually("nobody is harmed", unharmed)).await;
                if calm.is_err() {
                    return Err(TestCaseError::fail(format!("{faults:?}: {:?}", harm(&stage).await)));
                }
            }
            restore(&stage);
            let good = async || (stage.overview().source.problems.is_empty()).then_some(());
            stage.observed_again().await;
            eventually("the source is in order again", good).await;
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(refused.get() > 10, "the faults were seen: {} revisions were refused", refused.get());
    runtime.block_on(stage.stop());
}
