//! A pod's life as its page shows it, without loading that page again.

use std::fs;

use crate::testkit::docker::docker;
use crate::{
    echo, follow,
    testkit::{
        browser::{Browser, DESK},
        stand::{PATIENCE, Stand},
    },
};

const ALICE: &str = "alice/assistant";
const PAGE: &str = "/dashboard/pods/alice/assistant";

#[tokio::test]
async fn a_pod_goes_through_its_phases_heals_restarts_and_rests_on_a_page_that_is_never_loaded_again() {
    let stand = Stand::start(&[("bob.yaml", &echo("bob", ""))]).await;
    stand.ready("bob/assistant", PATIENCE).await;
    let browser = Browser::open(DESK).await;

    // A new manifest: a row appears, and comes to run.
    follow(&browser, &stand, "/dashboard/pods").await;
    stand.save("alice.yaml", &echo("alice", ""));
    browser.says("#rows [data-pod='alice/assistant'] [data-field=phase]", "Running").await;
    assert!(browser.is_marked().await, "nobody loaded the page again");

    // Killed from outside: its page tells of the end, and that it runs again.
    follow(&browser, &stand, PAGE).await;
    browser.says("#phase", "Running").await;
    let before = stand.container(ALICE);
    docker(&["kill", &before.name]);
    browser.says("#events", "exited").await;
    let life =
        async || (stand.container(ALICE).running && stand.container(ALICE).life() != before.life()).then_some(());
    stand.until("it runs again", PATIENCE, life).await;
    browser.says("#phase", "Running").await;
    assert!(browser.is_marked().await);

    // A restart that somebody presses for.
    let before = stand.container(ALICE);
    browser.click("#confirm-restart summary").await;
    browser.click("#confirm-restart form button").await;
    let restarted = async || {
        let now = stand.container(ALICE);
        (now.running && now.started_at != before.started_at).then_some(now)
    };
    let after = stand.until("it is restarted", PATIENCE, restarted).await;
    assert_eq!(after.id, before.id, "the same container");
    browser.says("#events", "requested a restart").await;

    // A pause, and its end.
    follow(&browser, &stand, PAGE).await;
    browser.click("form:has(input[value=pause]) button").await;
    browser.says("#requests", "Paused until").await;
    browser.says("#phase", "Stopped").await;
    let stopped = async || (!stand.container(ALICE).running).then_some(());
    stand.until("it is stopped", PATIENCE, stopped).await;
    browser.click("form:has(input[value=resume]) button").await;
    browser.says("#phase", "Running").await;
    stand.ready(ALICE, PATIENCE).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_log_is_followed_with_its_secrets_out_of_sight_and_markup_in_it_stays_text() {
    let stand = Stand::start(&[("bob.yaml", &echo("bob", ""))]).await;
    let secret = "sk-<b>not-for-anybody</b>-0123456789";
    let file = stand.path("alice-key");
    fs::write(&file, secret).unwrap();
    let secrets = format!("secrets: {{ECHO_KEY: {{file: {}}}}}", file.display());
    stand.save("alice.yaml", &echo("alice", &secrets));
    stand.ready(ALICE, PATIENCE).await;
    let browser = Browser::open(DESK).await;
    follow(&browser, &stand, &format!("{PAGE}/logs")).await;
    browser.element("#log .l").await;
    stand.routed("alice", "/health").await;
    let container = stand.container(ALICE).name;
    // What the agent's own process writes, as its container's first process would.
    docker(&["restart", "--time", "1", &container]);
    browser
        .until("new lines come by themselves", async || {
            let lines = browser.script("return document.querySelectorAll('#log .l').length").await;
            lines.as_u64().filter(|lines| *lines >= 2)
        })
        .await;
    let text = browser.text("#log").await.unwrap();
    assert!(!text.contains("not-for-anybody"), "{text}");
    browser.fill("#log-search", "echo").await;
    browser.element("#log-found").await;
    browser.click("#log-pause").await;
    browser.click("#log-wrap").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
