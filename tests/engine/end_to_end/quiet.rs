//! A fleet at rest: rounds write nothing, neither a row nor anything on the engine. What is measured meanwhile is written
//! by a task beside the rounds, into tables of its own: these four are left out, and every other table is watched.

use std::time::Duration;

use super::three_tenants;
use crate::testkit::stand::{PATIENCE, Stand};

/// What is written while everything is at rest, and by nothing but the meter.
const MEASURED: [&str; 4] = ["hosts", "pod_health", "pod_usage", "pod_usage_now"];

/// Every row but those, as table, place, transaction and content. Who locked it last is left out: a row that refers to
/// it locks it, and does not write it.
async fn rows(stand: &Stand) -> Vec<String> {
    let is_measured = |row: &String| MEASURED.iter().any(|table| row.split(' ').next() == Some(table));
    let without_lock = |row: String| {
        let mut words: Vec<&str> = row.splitn(5, ' ').collect();
        words.remove(3);
        words.join(" ")
    };
    stand.dump().await.into_iter().filter(|row| !is_measured(row)).map(without_lock).collect()
}

#[tokio::test]
async fn rounds_over_a_fleet_at_rest_write_no_row() {
    let stand = three_tenants().await;
    let applied = async || {
        stand.status().await.filter(|status| status["source"]["synced"] == true && status["source"]["healthy"] == true)
    };
    stand.until("everything is applied", PATIENCE, applied).await;
    // What happened last may still be on its way into the history.
    let mut before = rows(&stand).await;
    let at_rest = async || {
        let now = rows(&stand).await;
        (std::mem::replace(&mut before, now.clone()) == now).then_some(())
    };
    stand.rounds(Duration::ZERO).await;
    stand.until("nothing is on its way any more", PATIENCE, at_rest).await;

    let (before, containers) = (rows(&stand).await, stand.all_containers());
    // Through several probes of every pod.
    stand.rounds(Duration::from_secs(12)).await;
    let after = rows(&stand).await;
    let new: Vec<&String> = after.iter().filter(|row| !before.contains(row)).collect();
    assert!(new.is_empty() && after.len() == before.len(), "rows were written: {new:#?}");
    let lives = |all: &[crate::testkit::stand::containers::Container]| {
        all.iter().map(|one| format!("{:?}", one.life())).collect::<Vec<_>>()
    };
    assert_eq!(lives(&stand.all_containers()), lives(&containers));
}
