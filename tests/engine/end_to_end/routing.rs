//! From outside to the right agent.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::three_tenants;
use crate::testkit::stand::PATIENCE;

#[tokio::test]
async fn three_tenants_are_reached_by_their_host_names_over_http_and_websocket() {
    let stand = three_tenants().await;
    let proxy = stand.proxy_address().unwrap();
    for tenant in ["alice", "bob", "carol"] {
        let answer = stand.routed(tenant, "/whoami").await;
        let whoami: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(whoami["tenant"], tenant);
        assert_eq!(whoami["headers"]["host"], stand.host(tenant));
        assert_eq!(whoami["headers"]["x-forwarded-proto"], "http");

        let mut socket = stand.socket(tenant, "/ws", &stand.url(tenant)).await.unwrap();
        let hello: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!(hello, json!({"hello": tenant}));
        // Bigger than any buffer on the way.
        let long = "x".repeat(300_000);
        socket.send(Message::text(long.clone())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(long));

        let config = stand.get(tenant, "/config").await.unwrap();
        let config: Value = serde_json::from_str(&config.body).unwrap();
        assert_eq!(config["proxy"], *proxy, "agents are told the address that the proxy really has");
    }

    // A host name nobody has leads nowhere.
    assert_eq!(stand.get("nobody", "/").await.unwrap().status, 404);

    // Agents that only look at the path get it as it was sent.
    let odd = stand.get("alice", "/env/a%2Fb").await.unwrap();
    assert_eq!(
        (odd.status, odd.header("content-type")),
        (404, "application/json"),
        "the agent's own 404, not the proxy's: {odd:?}"
    );

    // What it received is what the baseline promises.
    let container = stand.container("alice/assistant");
    let host = &container.raw["HostConfig"];
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!((&host["ReadonlyRootfs"], &host["Privileged"]), (&json!(true), &json!(false)));
    assert_eq!(container.raw["Config"]["User"], "1000:1000");
    assert_eq!(
        container.raw["NetworkSettings"]["Ports"]
            .as_object()
            .map_or(0, |ports| ports.values().filter(|p| !p.is_null()).count()),
        0
    );

    // `agentpod open` gives a link that lets one person in.
    let said = stand.agentpod(&["open", "alice/assistant"]);
    assert!(said.out.starts_with(&format!("{}/?ticket=", stand.url("alice"))), "{}{}", said.out, said.err);
    let _ = PATIENCE;
}
