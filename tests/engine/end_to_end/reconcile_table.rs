//! The table of `docs/ARCHITECTURE.md`, row by row, on the real engine.

use std::time::{Duration, Instant};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{echo, three_tenants};
use crate::testkit::{
    docker::docker,
    stand::{PATIENCE, Stand, containers::Container},
};

const ALICE: &str = "alice/assistant";
const SIBLINGS: [&str; 2] = ["bob/assistant", "carol/assistant"];

/// How soon a container that somebody removed must be back.
const REPAIR: Duration = Duration::from_secs(2);

#[tokio::test]
async fn every_row_of_the_table_leads_to_what_it_says_and_touches_no_sibling() {
    // missing → created.
    let stand = three_tenants().await;
    let siblings = SIBLINGS.map(|id| stand.container(id));
    let first = stand.container(ALICE);
    let row = stand.row(ALICE);
    assert_eq!(
        (row["desired"].as_str(), row["phase"].as_str(), row["ready"].as_bool()),
        (Some("running"), Some("Running"), Some(true))
    );
    assert_eq!(row["container"], *first.name);
    assert_eq!(kinds(&stand), ["declared", "created", "ready"]);
    keep(&stand, "alice", "first").await;

    // exited → started: the same container.
    docker(&["stop", &first.name]);
    let again = stand.until("alice is started again", PATIENCE, async || started_after(&stand, &first)).await;
    assert_eq!(again.id, first.id);
    stand.ready(ALICE, PATIENCE).await;

    // stopped in the manifest → stopped, container and data stay.
    stand.save("alice.yaml", &echo("alice", "state: stopped"));
    stand.phase(ALICE, "Stopped", PATIENCE).await;
    stand
        .until("alice's container is stopped", PATIENCE, async || (!stand.container(ALICE).running).then_some(()))
        .await;
    assert_eq!(stand.container(ALICE).id, first.id);
    assert_eq!(stand.row(ALICE)["desired"], "stopped");
    stand
        .until("nothing is routed there", PATIENCE, async || {
            stand.get("alice", "/").await.filter(|answer| answer.status == 404)
        })
        .await;

    // running in the manifest → the same container is started.
    stand.save("alice.yaml", &echo("alice", ""));
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(stand.container(ALICE).id, first.id);
    assert_eq!(kept(&stand, "alice").await, "first");

    // not declared → stopped, then removed after the grace; the volume stays.
    stand.delete("alice.yaml");
    stand
        .until("alice is stopped", PATIENCE, async || {
            stand.containers(ALICE).iter().all(|one| !one.running).then_some(())
        })
        .await;
    stand.until("alice is removed", PATIENCE, async || stand.containers(ALICE).is_empty().then_some(())).await;
    assert_eq!(
        stand.volumes(),
        SIBLINGS
            .map(|id| volume(&stand, id))
            .into_iter()
            .chain([volume(&stand, ALICE)])
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    stand
        .until("her row says so", PATIENCE, async || stand.rows().iter().all(|row| row["id"] != ALICE).then_some(()))
        .await;

    // declared again → created, with the data from before.
    stand.save("alice.yaml", &echo("alice", ""));
    stand.ready(ALICE, PATIENCE).await;
    let back = stand.container(ALICE);
    assert_ne!(back.id, first.id);
    assert_eq!(kept(&stand, "alice").await, "first");

    // a setting that needs a new container → replaced, data intact.
    stand.save("alice.yaml", &echo("alice", "config: {mode: night}"));
    let replaced = stand.until("alice is replaced", PATIENCE, async || only_new(&stand, &back)).await;
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(replaced.variable("ECHO_MODE"), Some("night"));
    assert_eq!(replaced.variable("ECHO_TOKEN"), back.variable("ECHO_TOKEN"), "the token outlives the container");
    assert_eq!(kept(&stand, "alice").await, "first");

    // a setting the agent re-reads → uploaded into the running container.
    let replaced = stand.container(ALICE);
    stand.save("alice.yaml", &echo("alice", "config: {mode: night, greeting: Good night}"));
    let asked = Instant::now();
    stand
        .until("alice knows her new greeting", PATIENCE, async || {
            greeting(&stand).await.filter(|greeting| greeting == "Good night")
        })
        .await;
    println!("a saved greeting was inside after {:?}", asked.elapsed());
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(stand.container(ALICE).life(), replaced.life());
    assert_eq!(replaced.restarts, 0);

    // removed by hand → made again, soon.
    let asked = OffsetDateTime::now_utc();
    docker(&["rm", "--force", "--volumes", &replaced.name]);
    let removed = OffsetDateTime::now_utc();
    let remade = stand.until("alice is back", PATIENCE, async || only_new(&stand, &replaced)).await;
    let started = OffsetDateTime::parse(&remade.started_at, &Rfc3339).unwrap();
    println!(
        "removed by hand: running again {} after it was gone, {} after the word",
        started - removed,
        started - asked
    );
    stand.ready(ALICE, PATIENCE).await;
    println!("and ready {} after the word", OffsetDateTime::now_utc() - asked);
    assert!(started - removed < REPAIR, "{}", started - removed);
    stand.routed("alice", "/config").await;
    println!("and reached from outside {} after the word", OffsetDateTime::now_utc() - asked);
    assert_eq!(greeting(&stand).await.as_deref(), Some("Good night"));
    assert_eq!(kept(&stand, "alice").await, "first");

    // Through all of it nobody touched the others, and every row has its event.
    for (before, id) in siblings.iter().zip(SIBLINGS) {
        assert_eq!(stand.container(id).life(), before.life(), "{id}");
    }
    let kinds = kinds(&stand);
    for kind in [
        "created",
        "ready",
        "exited",
        "started",
        "stopped",
        "removed",
        "replaced",
        "cleaned_up",
        "uploaded",
        "vanished",
    ] {
        assert!(kinds.iter().any(|seen| seen == kind), "no event {kind} in {kinds:?}");
    }

    // Nothing changed → nothing is done or written.
    let (events, rows) = (stand.events(ALICE), stand.rows());
    stand.rounds(Duration::ZERO).await;
    assert_eq!((stand.events(ALICE), stand.rows()), (events, rows));
    let said = stand.agentpod(&["plan"]);
    assert_eq!((said.code, said.out.trim()), (0, "0 to change, 0 held, 3 as declared"), "{}", said.err);
}

fn kinds(stand: &Stand) -> Vec<String> {
    stand.events(ALICE).iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

fn volume(stand: &Stand, id: &str) -> String {
    format!("{}_{}", stand.instance(), id.replace('/', "_"))
}

/// The pod's container, when it runs and has been started since.
fn started_after(stand: &Stand, before: &Container) -> Option<Container> {
    Some(stand.container(ALICE)).filter(|now| now.running && now.started_at != before.started_at)
}

/// The pod's container, when it is another one than before, and the only one.
fn only_new(stand: &Stand, before: &Container) -> Option<Container> {
    match &stand.containers(ALICE)[..] {
        [now] if now.running && now.id != before.id => Some(now.clone()),
        _ => None,
    }
}

async fn greeting(stand: &Stand) -> Option<String> {
    let answer = stand.get("alice", "/config").await.filter(|answer| answer.status == 200)?;
    let config: Value = serde_json::from_str(&answer.body).ok()?;
    config["greeting"].as_str().map(str::to_owned)
}

async fn keep(stand: &Stand, tenant: &str, text: &str) {
    stand.routed(tenant, "/health").await;
    assert_eq!(stand.ask("PUT", tenant, "/data/x", text).await.unwrap().status, 200);
}

async fn kept(stand: &Stand, tenant: &str) -> String {
    stand.routed(tenant, "/data/x").await.body
}
