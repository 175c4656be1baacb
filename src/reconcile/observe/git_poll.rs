//! Fetches a git source beside the rounds: at the start, at intervals, and when the webhook reports a push. A round never
//! waits for a remote; it is woken when a fetch brought something new.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    reconcile::{ledger::jitter, message::Report},
    source::{Git, git::FIRST_FETCH_TIMEOUT},
};

/// A burst of deliveries is one fetch: it starts when none came for the first duration, or after the second.
const BURST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_BURST: Duration = Duration::from_secs(2);
/// After this many failures in a row the waits grow no longer.
const MAX_DOUBLINGS: u32 = 4;

/// Fetches until stopped.
pub(crate) async fn poll(
    git: Git,
    woken: Arc<Notify>,
    reports: mpsc::UnboundedSender<Report>,
    stop: CancellationToken,
) {
    let poll = async {
        let mut failures = 0;
        let mut is_first = true;
        loop {
            let mut fetch = std::pin::pin!(git.fetch());
            let is_news = if std::mem::take(&mut is_first) {
                match timeout(FIRST_FETCH_TIMEOUT, &mut fetch).await {
                    Ok(is_news) => is_news,
                    Err(_) => {
                        // The first fetch had its time: rounds go on with the stored revision.
                        let _ = reports.send(Report::Fetched);
                        fetch.await
                    }
                }
            } else {
                fetch.await
            };
            if is_news && reports.send(Report::Fetched).is_err() {
                return;
            }
            failures = if git.health().last_error.is_some() { failures + 1 } else { 0 };
            let pause = pause(git.interval(), failures, jitter(crate::clock::now()));
            tokio::select! {
                () = sleep(pause) => {}
                () = woken.notified() => quiet(&woken).await,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = poll => {}
    }
}

/// How long to wait for the next fetch: jittered by a tenth, so that many daemons do not fetch at the same moment, and
/// longer after each failure.
fn pause(interval: Duration, failures: u32, chance: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * chance) * failures.clamp(1, MAX_DOUBLINGS)
}

/// Waits until no more deliveries come.
async fn quiet(woken: &Notify) {
    let end = crate::clock::runtime_instant() + LONGEST_BURST;
    while timeout_at(end.min(crate::clock::runtime_instant() + BURST_PAUSE), woken.notified()).await.is_ok()
        && crate::clock::runtime_instant() < end
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_come_at_about_the_interval_and_failures_make_them_rarer_but_never_stop_them() {
        let minute = Duration::from_secs(60);
        for (failures, chance, least, most) in
            [(0, 0.0, 54, 54), (0, 1.0, 66, 66), (1, 0.5, 60, 60), (2, 0.5, 120, 120), (1000, 0.5, 240, 240)]
        {
            let seconds = pause(minute, failures, chance).as_secs_f64();
            assert!(seconds > f64::from(least) - 0.1 && seconds < f64::from(most) + 0.1, "{failures}: {seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_deliveries_ends_in_one_fetch_and_one_that_never_ends_is_not_waited_out() {
        let woken = Arc::new(Notify::new());
        let started = crate::clock::runtime_instant();
        let flood = tokio::spawn({
            let woken = woken.clone();
            async move {
                loop {
                    woken.notify_one();
                    sleep(BURST_PAUSE / 4).await;
                }
            }
        });
        quiet(&woken).await;
        assert_eq!(started.elapsed(), LONGEST_BURST);
        flood.abort();
        let _ = flood.await;
        timeout(BURST_PAUSE, woken.notified()).await.ok();
        let started = crate::clock::runtime_instant();
        quiet(&woken).await;
        assert_eq!(started.elapsed(), BURST_PAUSE);
    }
}
