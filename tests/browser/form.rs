//! The form for a new pod: what it gives is a manifest that the command line accepts and a daemon runs.

use crate::{
    at, echo,
    testkit::{
        browser::{Browser, DESK},
        stand::{PATIENCE, Stand},
    },
};

#[tokio::test]
async fn a_filled_in_form_gives_a_manifest_that_is_valid_and_runs() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    let browser = Browser::open(DESK).await;
    browser.goto(&at(&stand, "/dashboard/pods/new")).await;
    browser.click("a[href='/dashboard/pods/new?adapter=echo']").await;
    browser.fill("#tenant", "zoe").await;
    browser.fill("#name", "helper").await;
    browser.fill("#subdomain", "zoe").await;
    browser.says("#checked", "problem").await;
    browser.click("#with-tenant").await;
    browser.says("#checked", "No problems").await;
    let manifest = browser.text("#manifest").await.unwrap();
    stand.save("zoe.yaml", &(manifest + "\n"));
    let said = stand.agentpod(&["validate"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    stand.ready("zoe/helper", PATIENCE).await;
}

#[tokio::test]
async fn where_edits_are_committed_the_form_puts_the_manifest_into_the_source_and_the_pod_runs() {
    let mut stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    stand.restart_with(&[("AGENTPOD_EDITS", "commit")]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    let browser = Browser::open(DESK).await;
    browser.goto(&at(&stand, "/dashboard/pods/new?adapter=echo")).await;
    browser.fill("#tenant", "alice").await;
    browser.fill("#name", "helper").await;
    browser.fill("#subdomain", "alice-helper").await;
    browser.says("#checked", "No problems").await;
    browser.click("button[formaction='/dashboard/pods/new/commit']").await;
    browser.says("main", "alice-helper.yaml").await;
    stand.ready("alice/helper", PATIENCE).await;
    let said = stand.agentpod(&["events"]);
    assert!(said.out.contains("edited"), "{}", said.out);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
