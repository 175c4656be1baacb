//! A faulty source changes nothing and says why.

use std::time::Duration;

use super::{echo, three_tenants};
use crate::testkit::stand::{PATIENCE, Stand};

#[tokio::test]
async fn a_source_that_is_wrong_changes_nothing_and_says_why_until_it_is_right_again() {
    let stand = three_tenants().await;
    let ids = ["alice/assistant", "bob/assistant", "carol/assistant"];
    let before = ids.map(|id| stand.container(id));
    let untouched = |stand: &Stand| {
        for (id, before) in ids.iter().zip(&before) {
            assert_eq!(stand.container(id).life(), before.life(), "{id}");
        }
    };

    // One misspelt key in one file: also what is right in the other files waits.
    stand.save("alice.yaml", &echo("alice", "config: {greetin: Hi}"));
    stand.save("bob.yaml", &echo("bob", "config: {mode: waits}"));
    let problems = problems(&stand).await;
    assert!(
        problems.contains("alice.yaml") && problems.contains("greetin") && problems.contains("greeting"),
        "{problems}"
    );
    untouched(&stand);
    let said = stand.agentpod(&["validate"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);

    // Put right, both changes come.
    stand.save("alice.yaml", &echo("alice", "config: {greeting: Hi}"));
    let arrived = async || {
        stand.containers("bob/assistant").iter().any(|one| one.variable("ECHO_MODE") == Some("waits")).then_some(())
    };
    stand.until("bob's change arrives", PATIENCE, arrived).await;
    stand.all_ready(&ids).await;
    in_order(&stand).await;
    let before = ids.map(|id| stand.container(id));

    // Everything gone at once is no wish.
    for file in ["alice.yaml", "bob.yaml", "carol.yaml"] {
        stand.delete(file);
    }
    let problems = self::problems(&stand).await;
    assert!(problems.contains("no manifest"), "{problems}");
    // The removal's grace is two seconds: had it begun, it would be over.
    stand.rounds(Duration::from_secs(4)).await;
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(stand.container(id).life(), before.life(), "{id}");
    }

    // A start without a source goes on with the revision it accepted last.
    let mut stand = stand;
    assert_eq!(stand.stop_daemon().await, Some(0));
    stand.start_daemon();
    stand.all_ready(&ids).await;
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(stand.container(id).life(), before.life(), "{id}");
    }
    let id = &before[0].id;
    crate::testkit::docker::docker(&["rm", "--force", "--volumes", id]);
    let back = async || stand.containers(ids[0]).iter().any(|one| one.running && one.id != *id).then_some(());
    stand.until("alice is repaired from the store alone", PATIENCE, back).await;

    // Files again: in order again.
    for (file, tenant) in [("alice.yaml", "alice"), ("bob.yaml", "bob"), ("carol.yaml", "carol")] {
        stand.save(file, &echo(tenant, ""));
    }
    in_order(&stand).await;
    stand.all_ready(&ids).await;
}

async fn problems(stand: &Stand) -> String {
    let problems = async || {
        stand
            .status()
            .await
            .map(|status| status["source"]["problems"].clone())
            .filter(|found| found.as_array().is_some_and(|all| !all.is_empty()))
    };
    stand.until("problems are shown", PATIENCE, problems).await.to_string()
}

async fn in_order(stand: &Stand) {
    let applied = async || {
        stand.status().await.filter(|status| {
            status["source"]["problems"].as_array().is_some_and(Vec::is_empty)
                && status["source"]["synced"] == true
                && status["source"]["healthy"] == true
        })
    };
    stand.until("the source is in order and applied", PATIENCE, applied).await;
}
