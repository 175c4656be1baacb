//! The form for a new pod: what it gives is a manifest that the command line accepts and a daemon runs.

use crate::{
    at, echo,
    support::{
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
