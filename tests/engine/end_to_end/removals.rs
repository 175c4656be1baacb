//! A revision that lacks most pods, on the real engine: nothing stops before somebody has read what would, and said yes.

use serde_json::Value;

use super::echo;
use crate::testkit::stand::{PATIENCE, Stand};

const GONE: [&str; 4] = ["a/assistant", "b/assistant", "c/assistant", "d/assistant"];

fn lives(stand: &Stand) -> Vec<(String, String)> {
    GONE.iter().map(|id| stand.container(id)).map(|one| (one.id, one.started_at)).collect()
}

async fn held(stand: &Stand) -> String {
    let held = async || {
        let plan = stand.status().await?["held_removals"]["plan"].as_str()?.to_owned();
        GONE.iter().all(|id| stand.row(id)["reason"] == "TooManyRemovals").then_some(plan)
    };
    stand.until("the removals are held", PATIENCE, held).await
}

#[tokio::test]
async fn most_pods_gone_from_the_source_go_on_until_exactly_that_is_approved_and_come_back_within_their_grace() {
    let many = ["a", "b", "c", "d"].map(|tenant| echo(tenant, "")).join("---\n");
    let mut stand = Stand::start(&[("many.yaml", &many), ("one.yaml", &echo("one", ""))]).await;
    stand.restart_with(&[("AGENTPOD_REMOVAL_GRACE", "60s")]).await;
    stand.all_ready(&[&GONE[..], &["one/assistant"]].concat()).await;
    let before = lives(&stand);

    stand.delete("many.yaml");
    let plan = held(&stand).await;
    let said = stand.agentpod(&["plan"]);
    assert!(said.out.contains(&format!("plan {plan} holds 4 removals")), "{}", said.out);
    assert!(said.out.contains(&format!("agentpod approve {plan}")), "{}", said.out);
    assert!(said.out.contains("4 of 5 pods would be removed at once"), "{}", said.out);
    let said = stand.agentpod(&["plan", "-o", "json"]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&json["held_removals"]["plan"], &json["changes"]), (&plan.as_str().into(), &true.into()));
    assert_eq!(json["held_removals"]["pods"].as_array().unwrap().len(), 4);

    for (wrong, why) in [("0123456789ab", plan.as_str()), ("everything", "is not the hash of a plan")] {
        let said = stand.agentpod(&["approve", wrong]);
        assert!(said.code == 1 && format!("{}{}", said.out, said.err).contains(why), "{}{}", said.out, said.err);
    }
    // The hold outlives the daemon.
    stand.kill_daemon();
    stand.nobody_leads().await;
    let said = stand.agentpod(&["approve", "0123456789ab"]);
    assert!(said.code == 1 && said.err.contains(&plan), "{}{}", said.out, said.err);
    stand.start_daemon();
    assert_eq!(held(&stand).await, plan);
    assert_eq!(lives(&stand), before);
    assert!(stand.get("a", "/").await.is_some_and(|answer| answer.status == 200), "it is still served");

    let said = stand.agentpod(&["approve", &plan, "--as", "carol@laptop"]);
    assert!(said.code == 0 && said.out.contains("removing a/assistant, b/assistant"), "{}{}", said.out, said.err);
    let stopped = async || GONE.iter().all(|id| !stand.container(id).running).then_some(());
    stand.until("the four are stopped", PATIENCE, stopped).await;
    assert!(stand.container("one/assistant").running);
    let events = stand.events("a/assistant");
    let why = events.last().unwrap()["cause"].as_str().unwrap();
    assert!(why.contains("carol@laptop approved its removal"), "{events:?}");
    let said = stand.agentpod(&["approve", &plan]);
    assert!(said.code == 1 && said.out.contains("no removals are held"), "once: {}{}", said.out, said.err);

    stand.save("many.yaml", &many);
    stand.all_ready(&GONE).await;
    let ids = |lives: &[(String, String)]| lives.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lives(&stand)), ids(&before), "the same containers start again");
}

#[tokio::test]
async fn one_shot_runs_hold_too_and_carry_out_what_they_are_to_approve() {
    let many = ["a", "b", "c", "d"].map(|tenant| echo(tenant, "")).join("---\n");
    let mut stand = Stand::start(&[("many.yaml", &many), ("one.yaml", &echo("one", ""))]).await;
    stand.all_ready(&GONE).await;
    assert_eq!(stand.stop_daemon().await, Some(0));
    stand.delete("many.yaml");
    let before = lives(&stand);
    let said = stand.agentpod(&["apply", "--timeout", "60s"]);
    let plan = said.out.split("plan ").nth(1).and_then(|rest| rest.get(..12)).unwrap_or_default().to_owned();
    assert!(said.code == 1 && said.out.contains(&format!("agentpod approve {plan}")), "{}{}", said.out, said.err);
    assert_eq!(lives(&stand), before);
    let said = stand.agentpod(&["apply", "--timeout", "60s", "--approve", "0123456789ab"]);
    assert!(said.code == 1 && said.out.contains("not approved: that plan is not held"), "{}{}", said.out, said.err);
    assert_eq!(lives(&stand), before);
    let said = stand.agentpod(&["apply", "--timeout", "60s", "--approve", &plan]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(GONE.iter().all(|id| stand.containers(id).iter().all(|one| !one.running)));
    assert!(stand.container("one/assistant").running);
}
