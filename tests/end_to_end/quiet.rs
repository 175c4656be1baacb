//! A fleet at rest: rounds write nothing, neither a row nor anything on the engine.

use std::time::Duration;

use crate::{support::stand::PATIENCE, three_tenants};

#[tokio::test]
async fn rounds_over_a_fleet_at_rest_write_no_row() {
    let stand = three_tenants().await;
    let applied = async || stand.status().await.filter(|status| status["source"]["applied"] == true);
    stand.until("everything is applied", PATIENCE, applied).await;
    // What happened last may still be on its way into the history.
    let mut before = stand.dump().await;
    let at_rest = async || {
        let now = stand.dump().await;
        (std::mem::replace(&mut before, now.clone()) == now).then_some(())
    };
    stand.rounds(Duration::ZERO).await;
    stand.until("nothing is on its way any more", PATIENCE, at_rest).await;

    let (rows, containers) = (stand.dump().await, stand.all_containers());
    // Through several probes of every pod.
    stand.rounds(Duration::from_secs(12)).await;
    assert_eq!(stand.dump().await, rows);
    let lives = |all: &[crate::support::stand::Container]| {
        all.iter().map(|one| format!("{:?}", one.life())).collect::<Vec<_>>()
    };
    assert_eq!(lives(&stand.all_containers()), lives(&containers));
}
