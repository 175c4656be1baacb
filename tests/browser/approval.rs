//! A plan that removes too much, looked at and approved on the page.

use crate::{
    echo, follow,
    testkit::{
        browser::{Browser, DESK},
        stand::Stand,
    },
};

#[tokio::test]
async fn removals_over_the_limit_are_shown_and_go_when_their_plan_is_approved() {
    let tenants = ["alice", "bob", "carol", "dave", "erin"];
    let manifests: Vec<(String, String)> =
        tenants.iter().map(|tenant| (format!("{tenant}.yaml"), echo(tenant, ""))).collect();
    let manifests: Vec<(&str, &str)> = manifests.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let stand = Stand::start(&manifests).await;
    let ids: Vec<String> = tenants.iter().map(|tenant| format!("{tenant}/assistant")).collect();
    stand.all_ready(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let browser = Browser::open(DESK).await;
    follow(&browser, &stand, "/dashboard/source").await;
    let goes: Vec<&str> = tenants[1..].to_vec();
    // At once, as one change.
    let gone: Vec<_> = goes.iter().map(|tenant| format!("{tenant}.yaml")).collect();
    gone.iter().for_each(|name| stand.delete(name));
    browser.says("#held", "The removal of 4 pods waits for approval").await;
    browser.says("#held", "erin/assistant").await;
    assert!(browser.is_marked().await);
    assert!(goes.iter().all(|tenant| stand.container(&format!("{tenant}/assistant")).running), "all of them go on");
    browser.click("#confirm-approve summary").await;
    browser.click("#confirm-approve form button").await;
    let stopped = async || {
        let runs = |tenant: &&str| stand.containers(&format!("{tenant}/assistant")).iter().any(|one| one.running);
        (!goes.iter().any(runs)).then_some(())
    };
    stand.until("the four are stopped", crate::testkit::stand::PATIENCE, stopped).await;
    assert!(stand.container("alice/assistant").running, "and nobody else is");
    browser
        .until("nothing is held any more", async || {
            browser.text("#held").await.filter(|text| !text.contains("waits for approval")).map(drop)
        })
        .await;
}
