//! Every kind of probe against a real listener, good and bad.

use std::{net::SocketAddr, time::Duration};

use agentpod::{
    core::declare::adapter::Probe,
    engine::memory::MemoryEngine,
    reconcile::{ProbeError, probe_once},
};
use warp::Filter;

async fn agent() -> SocketAddr {
    let ready = warp::path("ready").map(|| warp::reply::json(&serde_json::json!({"ok": true})));
    let busy =
        warp::path("busy").map(|| warp::reply::with_status(r#"{"ok":true}"#, http::StatusCode::SERVICE_UNAVAILABLE));
    let slow = warp::path("slow").then(|| async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        "late"
    });
    let host = warp::path("host").and(warp::header::<String>("host")).map(|host: String| host);
    let socket = warp::path("ws").and(warp::ws()).map(|ws: warp::ws::Ws| {
        ws.on_upgrade(|mut socket| async move {
            use futures_util::SinkExt;
            let _ = socket.send(warp::ws::Message::text("hello alice")).await;
        })
    });
    let page = warp::any().map(|| warp::reply::html("<html>any path at all</html>"));
    let routes = ready.or(busy).or(slow).or(host).or(socket).or(page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    address
}

async fn probed(address: SocketAddr, probe: &str) -> Result<(), ProbeError> {
    let probe: Probe = serde_json::from_str(probe).unwrap();
    probe_once(&MemoryEngine::default(), "a", address, "alice.example.com", &probe).await
}

#[tokio::test]
async fn http_is_ready_only_with_status_200_and_the_right_body() {
    let agent = agent().await;
    assert_eq!(probed(agent, r#"{"http": {"path": "/ready", "body": {"json": {"ok": true}}}}"#).await, Ok(()));
    assert_eq!(probed(agent, r#"{"http": {"path": "/ready"}}"#).await, Ok(()));
    let page = probed(agent, r#"{"http": {"path": "/startupz", "body": {"json": {"ok": true}}}}"#).await;
    assert_eq!(page.unwrap_err().to_string(), "/startupz: the answer is not JSON");
    let busy = probed(agent, r#"{"http": {"path": "/busy", "body": {"json": {"ok": true}}}}"#).await;
    assert_eq!(busy.unwrap_err().to_string(), "/busy answers 503");
}

#[tokio::test]
async fn http_asks_with_the_pods_own_host_name() {
    let agent = agent().await;
    assert_eq!(
        probed(agent, r#"{"http": {"path": "/host", "body": {"contains": "alice.example.com"}}}"#).await,
        Ok(())
    );
}

#[tokio::test]
async fn an_agent_that_does_not_answer_in_time_is_not_ready() {
    let agent = agent().await;
    let late = probed(agent, r#"{"http": {"path": "/slow"}, "timeout": "200ms"}"#).await;
    assert_eq!(late.unwrap_err().to_string(), "no answer within 200ms");
}

#[tokio::test]
async fn tcp_is_ready_when_the_port_is_open() {
    let agent = agent().await;
    assert_eq!(probed(agent, r#"{"tcp": {}}"#).await, Ok(()));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = probed(closed, r#"{"tcp": {}}"#).await.unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
}

#[tokio::test]
async fn a_websocket_must_open_and_say_what_is_expected() {
    let agent = agent().await;
    assert_eq!(probed(agent, r#"{"websocket": {"path": "/ws"}}"#).await, Ok(()));
    assert_eq!(probed(agent, r#"{"websocket": {"path": "/ws", "expect": "hello"}}"#).await, Ok(()));
    assert_eq!(
        probed(agent, r#"{"websocket": {"path": "/ws", "expect": "bye"}}"#).await.unwrap_err().to_string(),
        "/ws: the first message does not contain \"bye\""
    );
    let page = probed(agent, r#"{"websocket": {"path": "/page"}}"#).await.unwrap_err();
    assert!(page.to_string().starts_with("/page did not open a WebSocket"), "{page}");
}

#[tokio::test]
async fn a_command_is_ready_when_it_ends_well() {
    // The memory engine's commands always end well; the real one's answers are tested with the engine.
    assert_eq!(probed("127.0.0.1:1".parse().unwrap(), r#"{"exec": {"command": ["true"]}}"#).await, Ok(()));
}
