//! The dashboard without a mouse.

use fantoccini::key::Key;

use crate::{
    echo, follow,
    testkit::{
        browser::{Browser, DESK},
        stand::{PATIENCE, Stand},
    },
};

/// Presses a key where the focus is.
async fn press(browser: &Browser, key: Key) {
    browser.page.active_element().await.unwrap().send_keys(&char::from(key).to_string()).await.unwrap();
}

/// Moves the focus on until it is on something with these words.
async fn reach(browser: &Browser, words: &str) {
    for _ in 0..80 {
        press(browser, Key::Tab).await;
        let focused = browser.script("return document.activeElement.innerText || ''").await;
        if focused.as_str().is_some_and(|text| text.trim() == words) {
            let outline =
                "const style = getComputedStyle(document.activeElement); return style.outlineStyle + style.boxShadow";
            let seen = browser.script(outline).await;
            assert_ne!(seen, "nonenone", "it shows that it has the focus: {words}");
            return;
        }
    }
    panic!("the focus never comes to {words:?}");
}

#[tokio::test]
async fn a_pod_is_found_and_restarted_by_keyboard_alone() {
    let stand = Stand::start(&[("alice.yaml", &echo("alice", ""))]).await;
    stand.ready("alice/assistant", PATIENCE).await;
    let before = stand.container("alice/assistant");
    let browser = Browser::open(DESK).await;
    follow(&browser, &stand, "/dashboard").await;
    press(&browser, Key::Tab).await;
    let first = browser.script("return document.activeElement.innerText").await;
    assert_eq!(first, "Skip to the content", "the first stop");
    reach(&browser, "Pods").await;
    press(&browser, Key::Enter).await;
    browser.says("h1", "Pods").await;
    reach(&browser, "alice/assistant").await;
    press(&browser, Key::Enter).await;
    browser.says("h1", "assistant").await;
    reach(&browser, "Restart").await;
    press(&browser, Key::Enter).await;
    reach(&browser, "Restart now").await;
    press(&browser, Key::Enter).await;
    let restarted = async || {
        let now = stand.container("alice/assistant");
        (now.running && now.started_at != before.started_at).then_some(())
    };
    stand.until("it is restarted", PATIENCE, restarted).await;
}
