//! What every answer carries, whatever it is, and what none does.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::stage::{PASSWORD, Stage, everybody, known_as};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn every_answer_tells_browsers_how_little_it_may_do() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let session = [("cookie", cookie.as_str())];
    let paths = [
        "/",
        "/dashboard",
        "/dashboard/panics",
        "/nowhere",
        "/api/v1/status",
        "/api/v1/nowhere",
        "/healthz",
        "/assets/none",
    ];
    for path in paths {
        for headers in [&[][..], &session] {
            let answer = stage.get(path, headers).await;
            for (name, value) in [
                ("content-security-policy", POLICY),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("strict-transport-security", ""),
                ("access-control-allow-origin", ""),
                ("server", ""),
            ] {
                assert_eq!(answer.header(name), value, "{name} of {path}");
            }
            assert!(answer.header("permissions-policy").contains("camera=()"));
            let stored = if path.starts_with("/assets/") { "" } else { "no-store" };
            assert_eq!(answer.header("cache-control"), stored, "{path}");
            assert!(
                !answer.body.contains("style=") && !answer.body.contains("<script>") && !answer.body.contains("<style")
            );
        }
    }
    let secure = Stage::with(known_as("https://pods.example.com"), &everybody()).await;
    assert_eq!(secure.get("/", &[]).await.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn a_handler_that_panics_costs_one_answer_and_says_nothing_of_itself() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let broken = stage.get("/dashboard/panics", &[("cookie", &cookie)]).await;
    assert_eq!(broken.status, 500);
    assert!(broken.body.contains("log says more") && !broken.body.contains("secret of the handler"), "{}", broken.body);
    assert_eq!(stage.get("/dashboard", &[("cookie", &cookie)]).await.status, 200);
}

#[tokio::test]
async fn a_refusal_is_a_page_for_people_and_a_problem_for_programs() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let page = stage.get("/dashboard/nowhere", &[("cookie", &cookie)]).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.body.contains(">Not Found</h1>"), "{}", page.body);
    let problem = stage.get("/api/v1/nowhere", &[("cookie", &cookie)]).await;
    assert_eq!((problem.status, problem.header("content-type")), (404, "application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&problem.body).unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&404.into(), &"Not Found".into()));
}

#[tokio::test]
async fn whoever_only_wants_to_know_whether_we_live_may_ask_without_a_body_and_without_signing_in() {
    let stage = Stage::closed().await;
    for path in ["/healthz", "/readyz"] {
        let answer = stage.ask("HEAD", path, &[], "").await;
        assert!([200, 503].contains(&answer.status) && answer.body.is_empty(), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn what_is_large_is_compressed_for_whoever_can_read_that() {
    let stage = Stage::open().await;
    let plain = stage.get("/dashboard/large", &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.body.len()), ("", 60_000));
    let small = stage.get("/dashboard/large", &[("accept-encoding", "gzip")]).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.body.len() < 2_000);
}

#[tokio::test]
async fn nothing_that_lets_somebody_in_stands_in_the_database() {
    let stage = Stage::closed().await;
    let cookie = stage.sign_in("olga").await;
    let csrf = stage.csrf(&cookie).await;
    stage.token("olga", "agentpod_a-token-of-olga", None).await;
    assert!(stage.who(&[("authorization", "Bearer agentpod_a-token-of-olga")]).await.is_some());
    stage.try_sign_in("olga", "a password that is wrong", &[]).await;
    let rows = stage.dump().await;
    let id = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, "a password that is wrong", id, &csrf, "a-token-of-olga"] {
        assert!(!rows.contains(secret), "{secret:?} stands in a row");
    }
    assert!(rows.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "a hash does");
    assert_eq!(stage.events("signed_in").await.len(), 1);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_whatever_it_begins_with() {
    let stage = Stage::closed().await;
    let begin = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(stage.server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{:?} keeps a connection", String::from_utf8_lossy(bytes));
    };
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    tokio::join!(begin(b""), begin(b"PRI"), begin(http2), begin(b"GET / HTTP/1.1\r\nHost: a\r\n"));
}
