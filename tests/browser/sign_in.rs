//! Getting in, and what a viewer finds there.

use crate::{
    at, echo,
    testkit::{
        browser::{Browser, DESK},
        stand::{PATIENCE, Stand},
    },
};

#[tokio::test]
async fn a_person_signs_in_where_they_wanted_to_go_and_a_viewer_finds_nothing_to_press() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    let add = |name: &str, role: &str, password: &str| {
        let said = stand.agentpod_told(&["account", "add", name, "--role", role, "--password-stdin"], password);
        assert_eq!(said.code, 0, "{}", said.err);
    };
    add("olga", "operator", "a long enough pass phrase");
    add("vera", "viewer", "another long pass phrase");

    let browser = Browser::open(DESK).await;
    browser.goto(&at(&stand, "/dashboard/pods/alice/assistant")).await;
    browser.says("h1", "Sign in").await;
    assert_eq!(browser.accessibility_faults().await, Vec::<String>::new());
    let sign_in = async |name: &str, password: &str| {
        browser.fill("#name", name).await;
        browser.fill("#password", password).await;
        browser.click("button[type=submit]").await;
    };
    sign_in("olga", "not her pass phrase").await;
    browser.element("[role=alert]").await;
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|line| line.contains("/login") && line.contains("401")), "{complaints:?}");
    sign_in("olga", "a long enough pass phrase").await;
    browser.says("h1", "assistant").await;
    browser.says("#live", "live").await;
    browser.says("#actions", "Restart").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    browser.click("form[action='/logout'] button").await;
    browser.says("h1", "Sign in").await;
    browser.goto(&at(&stand, "/dashboard")).await;
    browser.says("h1", "Sign in").await;
    sign_in("vera", "another long pass phrase").await;
    browser.says("h1", "Overview").await;
    browser.goto(&at(&stand, "/dashboard/pods/alice/assistant")).await;
    browser.says("h1", "assistant").await;
    assert!(!browser.text("#actions").await.unwrap().contains("Restart"));
}
