//! The real OpenClaw behind the real Traefik: ready, its page, its WebSocket with and without the right papers, a
//! setting that arrives while it runs, and a login link. One agent for all of it: it takes half a minute to start.

use std::time::Duration;

use crate::testkit::{
    docker::docker,
    openclaw::{Device, Outcome, Pass},
    stand::Stand,
};

/// Measured 15 to 60 s on two cores; the adapter's own budget is 180 s.
const START: Duration = Duration::from_mins(4);

const POD: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n---\n\
    {apiVersion: agentpod.dev/v1, kind: Pod, metadata: {name: assistant, tenant: alice},\n \
    spec: {adapter: openclaw, subdomain: alice, config: {heartbeat: 45m}}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_real_openclaw_is_hosted_from_a_manifest_to_a_login_link() {
    let stand = Stand::start_alone(&[("alice.yaml", POD)]).await;
    let id = "alice/assistant";
    stand.ready(id, START).await;
    let container = stand.container(id);

    // Its page loads by host name; nobody else's does.
    let page = stand.get("alice", "/").await.expect("the proxy answers");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").starts_with("text/html") && page.body.to_lowercase().contains("openclaw"),
        "{}",
        page.body
    );
    assert_eq!(stand.get("mallory", "/").await.unwrap().status, 404);

    // A new browser with the right origin and token has to be approved, and is let in then.
    let token = container.variable("OPENCLAW_GATEWAY_TOKEN").expect("the token is in the environment").to_owned();
    let (origin, token_pass) = (stand.url("alice"), Pass::Token(&token));
    let browser = Device::new();
    let asked = browser.connect(&stand, "alice", &origin, token_pass).await;
    let Outcome::PairingRequired(request) = asked else { panic!("{asked:?}") };
    docker(&["exec", &container.id, "openclaw", "devices", "approve", &request]);
    assert_eq!(browser.connect(&stand, "alice", &origin, token_pass).await, Outcome::Connected);

    // The same browser with a wrong origin or a wrong token is not.
    assert_eq!(
        browser.connect(&stand, "alice", "http://evil.example.com", token_pass).await,
        Outcome::OriginNotAllowed
    );
    let wrong = browser.connect(&stand, "alice", &origin, Pass::Token("not-the-token")).await;
    assert!(matches!(wrong, Outcome::AuthFailed(_)), "{wrong:?}");

    // A changed setting arrives in the running agent.
    stand.save("alice.yaml", &POD.replace("45m", "50m"));
    let config = || docker(&["exec", &container.id, "cat", "/config/openclaw.json"]);
    stand.until("the file in the container has changed", START, async || config().contains("50m").then_some(())).await;
    let log = || docker(&["logs", &container.id]);
    let reloaded = "config hot reload applied (agents.defaults.heartbeat.every)";
    stand.until("the gateway took it up", START, async || log().contains(reloaded).then_some(())).await;
    assert_eq!(stand.container(id).life(), container.life(), "without a restart");
    assert_eq!(browser.connect(&stand, "alice", &origin, token_pass).await, Outcome::Connected);

    // A login link lets a browser in that was never here, once.
    let said = stand.agentpod(&["open", id]);
    assert_eq!(said.code, 0, "{}", said.err);
    let link = said.out.trim();
    let prefix = format!("{origin}/#bootstrapToken=");
    let ticket = link.strip_prefix(&prefix).and_then(|rest| rest.split('&').next()).unwrap_or_else(|| panic!("{link}"));
    assert_eq!(Device::new().connect(&stand, "alice", &origin, Pass::Bootstrap(ticket)).await, Outcome::Connected);
    assert_ne!(Device::new().connect(&stand, "alice", &origin, Pass::Bootstrap(ticket)).await, Outcome::Connected);

    // The token went nowhere but into the container.
    let told = [
        stand.log(),
        stand.agentpod(&["render", id]).out,
        stand.agentpod(&["events", id]).out,
        stand.agentpod(&["plan"]).out,
    ];
    assert!(told.iter().all(|text| !text.contains(&token)), "the token was told");
}
