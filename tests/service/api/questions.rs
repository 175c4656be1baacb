//! Questions: what is answered, in what form, and to whom.

use agentpod::core::report::phase::Phase;

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    http::Answer,
};

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && !problem["detail"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn everything_the_pages_show_is_answered_as_json() {
    let stage = Stage::new().await;
    stage.is("bob/helper", Phase::Held, "its secret cannot be read").await;
    for path in [
        "/overview",
        "/pods",
        "/pods/bob/helper",
        "/pods/bob/helper/events",
        "/pods/bob/helper/usage",
        "/tenants",
        "/tenants/bob",
        "/adapters",
        "/source",
        "/revisions",
        "/events",
        "/settings",
        "/openapi.json",
        "/status",
        "/busy",
    ] {
        let answer = stage.get(path, VICTOR).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json"),
            "{path}: {}",
            answer.body
        );
        answer.json();
    }
    let overview = stage.get("/overview", VICTOR).await.json();
    assert_eq!(
        (overview["pods"].as_i64(), overview["needs_attention"][0]["id"].as_str()),
        (Some(3), Some("bob/helper"))
    );
    let found = stage.get("/pods?phase=Held&sort=memory&order=desc", VICTOR).await.json();
    assert_eq!(found["items"][0]["message"], "its secret cannot be read");
    let pod = stage.get("/pods/bob/helper", VICTOR).await.json();
    assert_eq!((&pod["id"], &pod["desired_container"]["memory"]), (&"bob/helper".into(), &"64Mi".into()));
}

#[tokio::test]
async fn a_list_goes_on_with_the_next_of_the_page_before() {
    let stage = Stage::new().await;
    let first = stage.get("/pods?limit=2", OLGA).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let second = stage.get(&format!("/pods?limit=2&after={next}"), OLGA).await.json();
    assert_eq!((second["items"][0]["id"].as_str(), &second["next"]), (Some("bob/helper"), &serde_json::Value::Null));
}

#[tokio::test]
async fn whoever_has_an_answer_already_gets_no_body() {
    let stage = Stage::new().await;
    let first = stage.get("/pods", OLGA).await;
    let tag = first.header("etag").to_owned();
    let again = stage.ask("GET", "/pods", OLGA, &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag.as_str()));
    stage.is("bob/helper", Phase::Running, "it is ready").await;
    let changed = stage.ask("GET", "/pods", OLGA, &[("if-none-match", &tag)], "").await;
    assert_eq!(changed.status, 200);
    let head = stage.ask("HEAD", "/pods", OLGA, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_that_says_why() {
    let stage = Stage::new().await;
    for path in [
        "/nothing",
        "/pods/",
        "/pods/alice",
        "/pods/no/body",
        "/pods/Al%20ice/x",
        "/tenants/nobody",
        "/revisions/7",
        "/revisions/x",
    ] {
        is_problem(&stage.get(path, OLGA).await, 404);
    }
    for path in [
        "/pods?limit=0",
        "/pods?limit=x",
        "/pods?nonsense=1",
        "/pods?sort=beauty",
        "/pods?phase=Happy",
        "/pods?tenant=A_B",
        "/pods?tenant=",
        "/pods?limit=1&limit=2",
        "/overview?x=1",
        "/pods/alice/assistant/logs?tail=-1",
        "/pods/alice/assistant/logs?follow=perhaps",
    ] {
        is_problem(&stage.get(path, OLGA).await, 400);
    }
    is_problem(&stage.ask("GET", "/pods", OLGA, &[("accept", "text/html")], "").await, 406);
    is_problem(&stage.get("/pods", "agp_nobody").await, 401);
    for (method, path, allowed) in [
        ("POST", "/pods", "GET, HEAD"),
        ("DELETE", "/pods/alice/assistant", "GET, HEAD"),
        ("GET", "/requests", "POST"),
        ("PUT", "/requests", "POST"),
    ] {
        let answer = stage.ask(method, path, OLGA, &[], "").await;
        is_problem(&answer, 405);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
    let no_secrets_known = stage.get("/pods/alice/assistant/logs", OLGA).await;
    is_problem(&no_secrets_known, 503);
    assert!(no_secrets_known.body.contains("is a standby"));
}

#[tokio::test]
async fn a_tenants_person_finds_their_tenant_and_nothing_else() {
    let stage = Stage::new().await;
    stage.is("bob/helper", Phase::Held, "bobs-own-words").await;
    for path in [
        "/overview",
        "/pods",
        "/pods?text=bobs-own-words",
        "/pods?tenant=bob",
        "/events",
        "/events?tenant=bob",
        "/tenants",
    ] {
        let answer = stage.get(path, ALAN).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("bob"), "{path}: {}", answer.body);
    }
    for path in [
        "/pods/bob/helper",
        "/pods/bob/helper/events",
        "/pods/bob/helper/usage",
        "/pods/bob/helper/logs",
        "/tenants/bob",
    ] {
        let answer = stage.get(path, ALAN).await;
        is_problem(&answer, 404);
        let nobody = stage.get(&path.replace("bob", "zoe"), ALAN).await;
        assert_eq!(answer.body.replace("bob", "zoe"), nobody.body, "theirs and none at all are told alike");
    }
    for path in ["/source", "/revisions", "/revisions/1", "/adapters", "/settings", "/status", "/busy"] {
        is_problem(&stage.get(path, ALAN).await, 403);
    }
}
