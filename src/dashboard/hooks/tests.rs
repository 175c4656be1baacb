//! How deliveries are received and answered; `core::webhook` tests what they mean.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use ring::hmac;

use super::*;

const SECRET: &str = "3f6ae0c5d1b94a7e8b2c";
const PUSH: &[u8] = include_bytes!("../../../tests/hooks/github-push.json");

/// A webhook, and how often it woke the source.
fn hooks(followed: Option<&str>) -> (Arc<Hooks>, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let wake: Wake = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (Arc::new(Hooks::new(WebhookKeys::parse(SECRET).unwrap(), followed.map(Into::into), wake)), woken)
}

fn signature(body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    format!("sha256={}", hex::encode(tag))
}

fn push(body: &[u8]) -> warp::test::RequestBuilder {
    let request = warp::test::request().method("POST").path("/hooks/git").header("x-github-event", "push");
    request.header("x-hub-signature-256", signature(body)).body(body)
}

async fn send(request: warp::test::RequestBuilder, hooks: &Arc<Hooks>) -> (u16, Value) {
    let answer = request.reply(&route(Some(hooks.clone()))).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[tokio::test]
async fn a_push_wakes_once_and_is_answered_202() {
    let (hooks, woken) = hooks(Some("main"));
    assert_eq!(send(push(PUSH), &hooks).await, (202, json!({"accepted": true, "ref": "refs/heads/main"})));
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    let again = send(push(PUSH), &hooks).await;
    assert_eq!(again, (202, json!({"accepted": false, "why": "this delivery was received before"})));
    let elsewhere = send(push(br#"{"ref":"refs/heads/other"}"#), &hooks).await;
    let why = "a push to \"refs/heads/other\", which the source does not follow";
    assert_eq!(elsewhere, (202, json!({"accepted": false, "why": why})));
    let ping = push(b"{}").header("x-gitea-event", "ping");
    assert_eq!(send(ping, &hooks).await.0, 202);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_sender_without_a_secret_learns_nothing_and_wakes_nobody() {
    let (hooks, woken) = hooks(None);
    let unsigned = || warp::test::request().method("POST").path("/hooks/git").body(PUSH);
    for request in [
        unsigned(),
        unsigned().header("x-hub-signature-256", signature(b"something else")),
        unsigned().header("x-gitlab-token", "a guess at the secret"),
        unsigned().header("x-hub-signature-256", [0xff; 70].as_slice()),
        unsigned().header("authorization", "Basic bWU6Z3Vlc3M="),
        unsigned().header("authorization", "Negotiate x"),
    ] {
        // The same for all: what is taken, and not what was wrong.
        let (status, body) = send(request, &hooks).await;
        let why = body["why"].as_str().unwrap();
        assert_eq!((status, why), (401, UNDERSTOOD));
        assert!(why.contains("Bitbucket") && why.contains("Azure DevOps as the password"), "{why}");
    }
    assert_eq!(send(push(b"no JSON"), &hooks).await.0, 400);
    assert_eq!(woken.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_secrets_there_is_no_webhook_and_with_them_it_takes_posts_only() {
    let answer = push(PUSH).reply(&route(None)).await;
    assert_eq!(answer.status(), 404);
    let (hooks, _) = hooks(None);
    let answer = warp::test::request().path("/hooks/git").reply(&route(Some(hooks))).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "POST"));
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte_whether_it_says_its_length_or_not() {
    let (hooks, woken) = hooks(None);
    let mut body = br#"{"ref":"refs/heads/main","x":""#.to_vec();
    body.resize(MAX_BYTES - 2, b'x');
    body.extend(b"\"}");
    assert_eq!(send(push(&body), &hooks).await.0, 202);
    body.push(b' ');
    assert_eq!(send(push(&body), &hooks).await.0, 413);
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 4096])));
    assert_eq!(hooks.receive(HeaderMap::new(), endless).await.status(), 413);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_and_many_of_them_are_not_taken() {
    let (hooks, _) = hooks(None);
    let slow = || hooks.receive(HeaderMap::new(), stream::pending::<Result<Bytes, _>>());
    let waiting = futures_util::future::join_all((0..AT_ONCE).map(|_| slow()));
    tokio::pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    assert_eq!(slow().await.status(), 503);
    for answer in waiting.await {
        assert_eq!(answer.status(), 408);
    }
    assert_eq!(send(push(PUSH), &hooks).await.0, 202);
}
