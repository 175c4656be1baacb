//! Probes go where the engine says, and not to an address that somebody else found.

use std::time::Duration;

use tokio::net::TcpListener;

use super::stage::Stage;

#[tokio::test]
async fn a_container_is_probed_where_the_engine_says_it_is_reached() {
    let mut stage = Stage::new("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The container itself has no address at all.
    stage.engine.world().reached_at = Some(listener.local_addr().unwrap());
    stage.start(Duration::from_millis(50));
    let probed = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
    probed.expect("nobody probed where the engine said").unwrap();
    stage.stop().await;
}
