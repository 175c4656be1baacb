//! A page whose daemon goes away and comes back.

use crate::{
    echo, follow,
    testkit::{
        browser::{Browser, DESK},
        stand::{PATIENCE, Stand},
    },
};

#[tokio::test]
async fn a_page_says_that_it_is_offline_and_catches_up_when_the_daemon_is_back() {
    let mut stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    let browser = Browser::open(DESK).await;
    follow(&browser, &stand, "/dashboard/pods").await;
    browser.says("[data-pod='alice/assistant'] [data-field=phase]", "Running").await;
    assert_eq!(stand.stop_daemon().await, Some(0));
    browser.says("#live", "offline").await;
    stand.save("bob.yaml", &echo("bob", ""));
    stand.start_daemon();
    browser.says("#live", "live").await;
    browser.says("[data-pod='bob/assistant'] [data-field=phase]", "Running").await;
    assert!(browser.is_marked().await, "nobody loaded the page again");
}
