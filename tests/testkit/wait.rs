//! Waiting for what is to come, without sleeping longer than it takes.

use std::time::{Duration, Instant};

/// How long anything may take that is not said to take longer. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; fails with `what` when there is none in time.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same where nothing else has to go on meanwhile.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
