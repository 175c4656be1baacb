//! The whole of it: the real daemon with its real database, a real Traefik and real containers. State is checked, on
//! the engine, in the agents and in the database; what is printed only where printing is what counts.

use crate::testkit::stand::Stand;

mod accidents;
mod crash_loop;
mod git;
mod keys;
mod nowhere;
mod purge;
mod quiet;
mod reconcile_table;
mod removals;
mod requests;
mod routing;
mod secrets;
mod source;
mod sudden_death;

/// A tenant with one pod on `echo`, and whatever else stands in the pod's spec.
fn echo(tenant: &str, more: &str) -> String {
    format!(
        "{{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {{name: {tenant}}}}}\n---\n\
         {{apiVersion: agentpod.dev/v1, kind: Pod, metadata: {{name: assistant, tenant: {tenant}}},\n \
         spec: {{adapter: echo, subdomain: {tenant}, {more}}}}}\n"
    )
}

/// The daemon with alice, bob and carol, all ready.
async fn three_tenants() -> Stand {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|tenant| echo(tenant, ""));
    let stand = Stand::start(&[("alice.yaml", &alice), ("bob.yaml", &bob), ("carol.yaml", &carol)]).await;
    stand.all_ready(&["alice/assistant", "bob/assistant", "carol/assistant"]).await;
    stand
}
