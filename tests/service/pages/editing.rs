//! Changing and removing a declared pod: in the file's own text, shown first, by whom, and not at all without the setting.

use std::fs;

use agentpod::core::decide::request::RequestSpec;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    http,
    pages::{Stage, TENANTS},
    rows,
};

const ALICE: &str = "---\n# Alice's helper\napiVersion: agentpod.dev/v1   # ours\nkind: Pod\nmetadata:\n  tenant: alice\n  name: helper\n\
    spec:\n  subdomain: 'alice'   # quoted\n  adapter: echo\n  # what it says\n  config: {greeting: \"hi\"}\n";
const PAGE: &str = "/dashboard/pods/alice/helper/manifest";
const API: &str = "/api/v1/pods/alice/helper/manifest";

fn source() -> String {
    format!("{TENANTS}{ALICE}")
}

/// A folder with the tenants and two pods, and a dashboard that commits to it.
async fn stage() -> (Stage, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), source()).unwrap();
    let stage = Stage::committing_to(folder.path()).await;
    stage.checked(&source()).await;
    (stage, folder)
}

fn now(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("all.yaml")).unwrap()
}

/// The value of a hidden field of the last form that has it.
fn hidden(page: &str, name: &str) -> String {
    let after = page.rsplit(&format!("name=\"{name}\" value=\"")).next().unwrap();
    after.split('"').next().unwrap().to_owned()
}

async fn call(stage: &Stage, token: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let answer = http::ask("POST", stage.server.address, API, &headers, body.to_string()).await.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[tokio::test]
async fn a_change_is_shown_as_a_diff_and_committed_in_the_files_own_text() {
    let (stage, folder) = stage().await;
    let page = stage.page(PAGE, OLGA).await;
    assert!(page.contains("all.yaml, line 8") && page.contains("# Alice&#x27;s helper"), "{page}");
    assert!(page.contains("name=\"config.greeting\"") && page.contains("value=\"hi\""), "{page}");
    let form = "what=form&state=stopped&memory=64Mi&cpus=&config.greeting=good+morning";
    let shown = stage.ask("POST", PAGE, OLGA, form).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(
        shown.body.contains("This would change all.yaml") && shown.body.contains("+  config: {greeting: good morning}"),
        "{}",
        shown.body
    );
    assert_eq!(now(&folder), source(), "it is only shown");
    let seen = hidden(&shown.body, "seen");
    let done = stage.ask("POST", PAGE, OLGA, &format!("{form}&do=commit&seen={seen}")).await;
    assert!(done.status == 200 && done.body.contains("alice&#x2f;helper was changed"), "{}", done.body);
    let expected = source().replace(
        "{greeting: \"hi\"}\n",
        "{greeting: good morning}\n  resources:\n    memory: 64Mi\n  state: stopped\n",
    );
    assert_eq!(now(&folder), expected);
    let events = rows::events(&stage.store, None, 100).await;
    assert!(events.iter().any(|row| row.message.contains("olga changed it in the source: all.yaml")), "{events:?}");
    let asked = stage.store.open_requests().await.unwrap();
    assert!(asked.iter().any(|open| open.request.what == RequestSpec::Sync), "{asked:?}");
    // What was looked at is not there any more.
    let again = stage.ask("POST", PAGE, OLGA, &format!("{form}&do=commit&seen={seen}")).await;
    assert!(again.status == 409 && again.body.contains("has changed since you looked at it"), "{}", again.body);
}

#[tokio::test]
async fn a_removal_takes_the_pods_own_lines_and_nothing_else() {
    let (stage, folder) = stage().await;
    let shown = stage.ask("POST", PAGE, OLGA, "what=remove").await.body;
    assert!(shown.contains("This would remove the pod from all.yaml"), "{shown}");
    let seen = hidden(&shown, "seen");
    let done = stage.ask("POST", PAGE, OLGA, &format!("what=remove&do=commit&seen={seen}")).await;
    assert!(done.body.contains("was removed"), "{}", done.body);
    assert_eq!(now(&folder), TENANTS);
}

#[tokio::test]
async fn a_change_that_would_be_refused_says_why_with_its_place_and_writes_nothing() {
    let (stage, folder) = stage().await;
    let text = |text: &str| {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("what", "text")
            .append_pair("text", text)
            .finish();
        body + "&do=commit"
    };
    for (body, why) in [
        (text(&ALICE[4..].replace("adapter: echo", "adapter: ecco")), "there is no adapter"),
        (text(&ALICE[4..].replace("subdomain: 'alice'", "subdomain: bob")), "bob"),
        (text(&ALICE[4..].replace("name: helper", "name: other")), "it has to stay the pod alice&#x2f;helper"),
        (text("kind: [\n"), "all.yaml:"),
        (text(&format!("{}{ALICE}", &ALICE[4..])), "cannot change"),
        (text(&ALICE[4..]), "this changes nothing"),
        ("what=form&state=running&config.greeting=hi&memory=lots&do=commit".into(), "memory"),
    ] {
        let answer = stage.ask("POST", PAGE, OLGA, &body).await;
        assert!(answer.status == 409 && answer.body.contains(why), "{body}: {} {}", answer.status, answer.body);
        assert_eq!(now(&folder), source(), "{body}");
    }
}

#[tokio::test]
async fn only_operators_who_see_the_tenant_change_its_pods_and_of_one_tenant_no_secrets() {
    let (stage, folder) = stage().await;
    assert_eq!(stage.get(PAGE, VICTOR).await.status, 403);
    assert_eq!(stage.get("/dashboard/pods/bob/helper/manifest", ALAN).await.status, 404);
    assert_eq!(stage.ask("POST", PAGE, VICTOR, "what=remove&do=commit").await.status, 403);
    assert_eq!(
        stage.ask("POST", "/dashboard/pods/bob/helper/manifest", ALAN, "what=remove&do=commit").await.status,
        404
    );
    let page = stage.page(PAGE, ALAN).await;
    assert!(page.contains("# Alice") && !page.contains("all.yaml") && !page.contains("bob"), "{page}");
    let shown = stage.ask("POST", PAGE, ALAN, "what=form&state=running&config.greeting=hello").await.body;
    assert!(
        shown.contains("This would change pod.yaml") && !shown.contains("bob"),
        "the rest of the file is others': {shown}"
    );
    let with_secret =
        json!({"patch": {"spec": {"secrets": {"KEY": {"file": "/etc/agentpod/bob.key"}}}}, "commit": true});
    assert_eq!(call(&stage, ALAN, &with_secret).await.0, 409);
    assert_eq!(now(&folder), source());
    let (status, line) = call(&stage, ALAN, &json!({"patch": {"spec": {"state": "stopped"}}, "commit": true})).await;
    assert!(status == 200 && line["committed"] == "the source", "{line}");
    assert_eq!(now(&folder), format!("{}  state: stopped\n", source()));
}

#[tokio::test]
async fn the_api_shows_and_makes_the_same_changes() {
    let (stage, folder) = stage().await;
    let answer = stage.get(API, OLGA).await;
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (found["file"].as_str(), found["line"].as_u64(), found["text"].as_str()),
        (Some("all.yaml"), Some(8), Some(&ALICE[4..]))
    );
    let patch = json!({"spec": {"config": {"greeting": "hello"}}});
    let (status, line) = call(&stage, OLGA, &json!({"patch": patch})).await;
    assert_eq!(status, 200, "{line}");
    let diff = line["diff"].as_str().unwrap();
    assert!(diff.contains("-  config: {greeting: \"hi\"}\n+  config: {greeting: hello}"), "{diff}");
    assert_eq!(now(&folder), source());
    let stale = json!({"patch": patch, "seen": "0000", "commit": true});
    assert_eq!(call(&stage, OLGA, &stale).await.0, 409);
    for body in [json!({}), json!({"patch": patch, "remove": true}), json!({"pach": patch})] {
        assert_eq!(call(&stage, OLGA, &body).await.0, 400, "{body}");
    }
    let (status, line) = call(&stage, OLGA, &json!({"patch": patch, "seen": line["mark"], "commit": true})).await;
    assert!(status == 200 && line["committed"] == "all.yaml", "{line}");
    assert_eq!(now(&folder), source().replace("\"hi\"", "hello"));
}

#[tokio::test]
async fn without_the_setting_the_change_is_a_patch_to_apply_by_hand() {
    let stage = Stage::new().await;
    stage.checked(&source()).await;
    let shown = stage.ask("POST", PAGE, OLGA, "what=form&state=running&config.greeting=hello").await.body;
    assert!(shown.contains("--- a&#x2f;all.yaml") && !shown.contains("value=\"commit\""), "{shown}");
    let answer = stage.ask("POST", PAGE, OLGA, "what=remove&do=commit").await;
    assert!(answer.status == 403 && answer.body.contains("--edits commit"), "{}", answer.body);
}
