//! The browser itself, as tests use it: it finds faults where there are some, and leaves nothing behind.

use crate::testkit::browser::{Browser, DESK, processes_with};

#[tokio::test]
async fn the_browser_opens_a_page_and_leaves_nothing_behind() {
    let browser = Browser::open(DESK).await;
    browser.goto("data:text/html,<html lang=en><title>x</title><main><h1>Hello</h1><p>World</p></main>").await;
    browser.says("h1", "Hello").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert_eq!(browser.accessibility_faults().await, Vec::<String>::new());
    browser.goto("data:text/html,<html><button></button><script>nothing()</script>").await;
    assert!(!browser.accessibility_faults().await.is_empty(), "faults are found where there are some");
    assert!(!browser.complaints().await.is_empty(), "complaints are heard");
    let mark = browser.mark_of_processes();
    assert!(!processes_with(&mark).is_empty());
    drop(browser);
    assert!(processes_with(&mark).is_empty());
}
