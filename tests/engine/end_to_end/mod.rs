//! The whole of it: the real daemon with its real database, a real Traefik and real containers. State is checked, on
//! the engine, in the agents and in the database; what is printed only where printing is what counts.

use crate::testkit::{manifests::echo, stand::Stand};

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

/// The daemon with alice, bob and carol, all ready.
async fn three_tenants() -> Stand {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|tenant| echo(tenant, ""));
    let stand = Stand::start(&[("alice.yaml", &alice), ("bob.yaml", &bob), ("carol.yaml", &carol)]).await;
    stand.all_ready(&["alice/assistant", "bob/assistant", "carol/assistant"]).await;
    stand
}
