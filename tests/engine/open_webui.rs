//! The real Open WebUI behind the real Traefik: ready, its page, and settings that follow the manifest although the
//! agent would rather keep its own.

use std::time::Duration;

use serde_json::Value;

use crate::testkit::stand::Stand;

/// Measured 10 to 25 s on two cores; the adapter's own budget is 180 s.
const START: Duration = Duration::from_mins(4);

fn pod(name: &str, signup: bool) -> String {
    format!(
        "{{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {{name: carol}}}}\n---\n\
         {{apiVersion: agentpod.dev/v1, kind: Pod, metadata: {{name: chat, tenant: carol}},\n \
         spec: {{adapter: open-webui, subdomain: carol, config: {{name: {name}, signup: {signup}}}}}}}\n"
    )
}

async fn settings(stand: &Stand) -> Option<(String, bool)> {
    let answer = stand.get("carol", "/api/config").await.filter(|answer| answer.status == 200)?;
    let config: Value = serde_json::from_str(&answer.body).ok()?;
    Some((config["name"].as_str()?.to_owned(), config["features"]["enable_signup"].as_bool()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_open_webui_is_hosted_and_follows_its_manifest() {
    let stand = Stand::start_alone(&[("carol.yaml", &pod("First", true))]).await;
    let id = "carol/chat";
    stand.ready(id, START).await;
    let first = stand.container(id);
    let page = stand
        .until("its page is there", START, async || stand.get("carol", "/").await.filter(|page| page.status == 200))
        .await;
    assert!(page.header("content-type").starts_with("text/html") && page.body.contains("Open WebUI"), "{}", page.body);
    // It adds its own name to any other.
    assert_eq!(settings(&stand).await, Some(("First (Open WebUI)".into(), true)));

    stand.save("carol.yaml", &pod("Second", false));
    let wanted = Some(("Second (Open WebUI)".to_owned(), false));
    stand
        .until("the new settings are in force", START, async || (settings(&stand).await == wanted).then_some(()))
        .await;
    stand.ready(id, START).await;
    let second = stand.container(id);
    assert_ne!(second.id, first.id, "settings from the environment need a new container");
    assert_eq!(second.volume, first.volume, "on the same data");
}
