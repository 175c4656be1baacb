//! A secret that changes, or cannot be read, is the matter of its pod alone.

use std::{collections::BTreeSet, time::Duration};

use agentpod::{core::observe::actual::ContainerState, secrets, store::Rotated};

use super::stage::{POD, Stage};
use crate::testkit::wait::eventually;

const TICK: Duration = Duration::from_millis(200);
const OTHER: &str = "alice/other";

/// The pod's spec with a secret encrypted to a recipient.
fn encrypted(recipient: &age::x25519::Recipient, value: &str) -> String {
    let text = secrets::encrypt(std::slice::from_ref(recipient), &value.into()).unwrap();
    let lines: String = text.lines().flat_map(|line| [line, "\\n"]).collect();
    format!("secrets: {{KEY: {{age: \"{lines}\"}}}}")
}

impl Stage {
    /// Waits for rounds that began after now, and looked at the source.
    async fn settled(&self) {
        let rounds = self.overview().rounds;
        eventually("rounds are made", async || (self.overview().rounds > rounds + 3).then_some(())).await;
    }

    /// The other pod's containers: their names, and since when they run.
    fn other(&self) -> BTreeSet<String> {
        let world = self.engine.world();
        let all = world.containers.iter().filter(|(_, one)| one.pod.to_string() == OTHER);
        all.map(|(name, one)| {
            assert!(matches!(one.state, ContainerState::Running { .. }), "{name} runs");
            format!("{name} {:?}", one.state)
        })
        .collect()
    }
}

#[tokio::test]
async fn encrypting_a_value_anew_rolls_nothing_and_another_value_rolls_that_pod_alone() {
    let mut stage = Stage::new("").await;
    let recipient = secrets::keygen(&stage.path("age.key")).unwrap();
    let another = secrets::keygen(&stage.path("another.key")).unwrap();
    stage.declare(&encrypted(&recipient, "sk-first-0f1e2d"));
    stage.start(TICK);
    let first = stage.runs("").await;
    let other = stage.other();
    let writes = stage.engine.world().writes.len();

    // Encrypted anew, without and with a line end; then its identity is one of two.
    for value in ["sk-first-0f1e2d", "sk-first-0f1e2d\n"] {
        stage.declare(&encrypted(&recipient, value));
        stage.settled().await;
    }
    assert_eq!((stage.running(), stage.engine.world().writes.len()), (vec![first.clone()], writes));

    stage.declare(&encrypted(&recipient, "sk-second-a9b8c7"));
    let second = stage.runs(&first).await;
    assert_eq!(stage.other(), other);

    // Encrypted to somebody else: held as it is, and says why; the other pod is made anew all the same.
    stage.declare(&encrypted(&another, "sk-third-112233"));
    stage.phase("Held").await;
    let message = stage.overview().pods[POD].status.message.clone();
    assert!(message.contains("KEY") && message.contains(&recipient.to_string()), "{message}");
    assert_eq!((stage.running(), stage.other()), (vec![second.clone()], other));
    stage.engine.world().containers.retain(|_, one| one.pod.to_string() == POD);
    eventually("the other pod is made anew", async || (!stage.other().is_empty()).then_some(())).await;

    // The identity comes: what was held goes on by itself.
    std::fs::copy(stage.path("another.key"), stage.path("age.key")).unwrap();
    stage.runs(&second).await;
    let dump = stage.dump().await;
    for value in ["sk-first-0f1e2d", "sk-second-a9b8c7", "sk-third-112233"] {
        assert!(!dump.contains(value), "{value} is in the database");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_new_token_rolls_its_pod_alone_at_once_and_keeps_its_volume() {
    let mut stage = Stage::new("").await;
    // Nothing but the word of the process that asks can wake it in time.
    stage.start(Duration::from_hours(1));
    let first = stage.runs("").await;
    let other = eventually("the other pod runs", async || Some(stage.other()).filter(|other| !other.is_empty())).await;
    stage.listens().await;
    let volume = |name: &str| stage.engine.world().containers[name].volume.clone();
    let before = volume(&first);
    let asked =
        stage.store.rotate(&POD.parse().unwrap(), Rotated::Token, "root", time::OffsetDateTime::now_utc()).await;
    assert_eq!(asked.unwrap(), Some(2));
    let second = stage.runs(&first).await;
    assert_eq!((volume(&second), stage.other()), (before, other));
    let cause = stage.event("replaced").await.cause.unwrap();
    assert!(cause.contains("a request"), "{cause}");
    stage.stop().await;
}
