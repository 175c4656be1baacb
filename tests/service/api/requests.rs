//! Requests: taken from who may ask, and only what can be asked for.

use agentpod::core::decide::request::RequestSpec;

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::pod,
};

#[tokio::test]
async fn a_request_becomes_a_row_that_can_be_followed() {
    let stage = Stage::new().await;
    let answer = stage.post("/requests", OLGA, r#"{"kind": "pause", "pod": "alice/assistant", "seconds": 60}"#).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let place = answer.header("location").strip_prefix("/api/v1").unwrap().to_owned();
    let row = stage.get(&place, VICTOR).await.json();
    assert_eq!(
        (&row["kind"], &row["pod"], &row["actor"]),
        (&"pause".into(), &"alice/assistant".into(), &"olga".into())
    );
    assert_eq!((&row["ended_at"], row["expires_at"].is_string()), (&serde_json::Value::Null, true));
    let open = stage.store.open_requests().await.unwrap();
    assert!(
        matches!(&open[0].request.what, RequestSpec::Pause { pod: of, until: Some(_) } if *of == pod("alice/assistant"))
    );
    for body in [
        r#"{"kind": "pause", "pod": "bob/helper", "seconds": 60.0}"#,
        r#"{"kind": "resume", "pod": "bob/helper"}"#,
        r#"{"kind": "sync"}"#,
        r#"{"kind": "approve", "plan": "0123456789ab"}"#,
        r#"{"kind": "restart", "pod": "bob/helper"}"#,
        r#"{"kind": "resume", "pod": "alice/assistant"}"#,
    ] {
        assert_eq!(stage.post("/requests", OLGA, body).await.status, 202, "{body}");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_refused_and_leaves_no_row() {
    let stage = Stage::new().await;
    let restart = |pod: &str| format!(r#"{{"kind": "restart", "pod": "{pod}"}}"#);
    assert_eq!(stage.post("/requests", VICTOR, &restart("alice/assistant")).await.status, 403);
    assert_eq!(stage.post("/requests", ALAN, &restart("bob/helper")).await.status, 404);
    assert_eq!(stage.post("/requests", ALAN, r#"{"kind": "sync"}"#).await.status, 403);
    assert!(stage.store.open_requests().await.unwrap().is_empty());
    assert_eq!(stage.post("/requests", ALAN, &restart("alice/assistant")).await.status, 202);
    let other = stage.post("/requests", OLGA, &restart("bob/helper")).await.json()["id"].as_i64().unwrap();
    assert_eq!(stage.get(&format!("/requests/{other}"), ALAN).await.status, 404, "another tenant's request");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_why() {
    let stage = Stage::new().await;
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        ("{\"kind\": \"restart\"", 400),
        (r#"{"kind": "explode"}"#, 400),
        (r#"{"kind": "restart", "pod": "Alice"}"#, 400),
        (r#"{"kind": "sync", "more": 1}"#, 400),
        (r#"{"kind": "pause", "pod": "alice/assistant", "seconds": 0}"#, 400),
        (r#"{"kind": "pause", "pod": "alice/assistant", "seconds": 1.5}"#, 400),
        (r#"{"kind": "restart", "pod": "alice/nobody"}"#, 404),
        (r#"{"kind": "restart", "pod": "alice/idle"}"#, 409),
        (r#"{"kind": "resume", "pod": "alice/assistant"}"#, 409),
        (r#"{"kind": "approve", "plan": "xyz"}"#, 409),
    ] {
        let answer = stage.post("/requests", OLGA, body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/problem+json"),
            "{body}: {}",
            answer.body
        );
    }
}
