//! Pages as a browser shows them: no serious fault of accessibility, nothing that a policy refuses or a script trips over.

use agentpod::core::report::phase::Phase;

use crate::testkit::{
    browser::{Browser, DESK, Look, PHONE},
    declared::Declared,
    pages::{Stage, TENANTS},
};

const PAGES: [&str; 11] = [
    "/dashboard",
    "/dashboard/pods",
    "/dashboard/pods/new",
    "/dashboard/pods/new?adapter=openclaw",
    "/dashboard/pods/alice/assistant",
    "/dashboard/pods/alice/assistant/logs",
    "/dashboard/tenants",
    "/dashboard/tenants/alice",
    "/dashboard/adapters",
    "/dashboard/source",
    "/dashboard/settings",
];

#[tokio::test]
async fn no_page_has_a_serious_fault_of_accessibility_in_light_in_dark_or_on_a_phone() {
    let stage = Stage::open().await;
    stage.checked(TENANTS).await;
    let held = "1 of 1 pods would go at once; agentpod approve 5d0c41aa90f3 lets them go";
    stage.is("alice/assistant", Phase::Held, "TooManyRemovals", held).await;
    stage.tells("alice/assistant", "its container ended").await;
    for look in [DESK, Look { dark: true, ..DESK }, PHONE] {
        let browser = Browser::open(look).await;
        for page in PAGES {
            browser.goto(&format!("http://{}{page}", stage.server.address)).await;
            browser.says("#live", "live").await;
            assert_eq!(browser.accessibility_faults().await, Vec::<String>::new(), "{page} {look:?}");
            fits(&browser, page).await;
        }
        // While it stands by AgentPod has no logs, and the browser says so itself.
        let complaints: Vec<String> =
            browser.complaints().await.into_iter().filter(|line| !line.contains("/logs")).collect();
        assert_eq!(complaints, Vec::<String>::new(), "{look:?}");
    }
}

#[tokio::test]
async fn the_longest_names_make_no_page_too_wide() {
    let id = format!("alice/{}", "p".repeat(40));
    let stage = Stage::open_with(&Declared::tenants().pod(&id, "subdomain: long")).await;
    stage.is(&id, Phase::Held, "TooManyRemovals", "it would go").await;
    let browser = Browser::open(PHONE).await;
    for page in ["/dashboard", "/dashboard/pods", &format!("/dashboard/pods/{id}"), "/dashboard/tenants/alice"] {
        browser.goto(&format!("http://{}{page}", stage.server.address)).await;
        fits(&browser, page).await;
    }
}

/// A phone's window grows with what is in it, so it is the page that is measured.
async fn fits(browser: &Browser, page: &str) {
    let over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let over = browser.script(over).await;
    assert!(over.as_i64().is_some_and(|over| over <= 0), "{page} is {over} too wide");
}

#[tokio::test]
async fn a_pods_new_phase_appears_without_reloading_the_page() {
    let stage = Stage::open().await;
    stage.is("alice/assistant", Phase::Starting, "ProbeFailed", "it was not asked yet").await;
    let browser = Browser::open(DESK).await;
    browser.goto(&format!("http://{}/dashboard/pods", stage.server.address)).await;
    browser.says("#live", "live").await;
    browser.mark().await;
    browser.says("[data-field=phase]", "Starting").await;
    stage.is("alice/assistant", Phase::Running, "ProbeSucceeded", "it answers").await;
    browser.says("[data-field=phase]", "Running").await;
    browser.says("[data-field=ready]", "yes").await;
    assert!(browser.is_marked().await);
}

#[tokio::test]
async fn the_manifest_follows_the_input_and_is_checked_as_it_grows() {
    let stage = Stage::open().await;
    stage.checked(TENANTS).await;
    let browser = Browser::open(DESK).await;
    browser.goto(&format!("http://{}/dashboard/pods/new?adapter=echo", stage.server.address)).await;
    browser.fill("#tenant", "alice").await;
    browser.fill("#name", "helper").await;
    browser.fill("#subdomain", "bob").await;
    browser.says("#checked", "1 problem").await;
    browser.fill("#subdomain", "fresh").await;
    browser.says("#checked", "No problems").await;
    browser.says("#manifest", "subdomain: fresh").await;
}
