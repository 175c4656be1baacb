//! What wakes the reconciler, and what the tasks it started report back. Messages carry what happened for events and
//! logs; the planner never sees them.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{engine::Engine, reconcile::message::Report, source::Watch, store::Store};

/// Deliveries to the webhook within this time of the last one are merged: a flood of them is one read of the source.
const MERGE_WINDOW: Duration = Duration::from_secs(1);

/// Sends the engine's events until stopped; a broken stream is reopened and triggers a round.
pub(crate) async fn engine_events(
    engine: Arc<dyn Engine>,
    reports: mpsc::UnboundedSender<Report>,
    stop: CancellationToken,
) {
    let mut wait = Duration::from_millis(250);
    loop {
        let mut listening = false;
        let forward = async {
            let mut events = engine.watch().await?;
            listening = true;
            // Subscribe first, observe afterwards, so that nothing is missed in between.
            let _ = reports.send(Report::EngineReconnected);
            while let Some(event) = events.next().await {
                let _ = reports.send(Report::Engine(event?));
            }
            Ok::<(), crate::engine::EngineError>(())
        };
        tokio::select! {
            () = stop.cancelled() => return,
            outcome = forward => match outcome {
                Ok(()) => wait = Duration::from_millis(250),
                Err(error) => debug!(%error, "engine events broke off"),
            },
        }
        if listening {
            // The engine probably went away: observe now rather than at the next tick.
            let _ = reports.send(Report::EngineReconnected);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
        }
    }
}

/// How long changes of images are merged: a build or a load makes many.
const IMAGES_MERGE: Duration = Duration::from_millis(250);

/// How soon to watch images again after the engine went away.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(5);

/// Sends a message when the engine's images changed, until stopped.
pub(crate) async fn image_changes(
    engine: Arc<dyn Engine>,
    reports: mpsc::UnboundedSender<Report>,
    stop: CancellationToken,
) {
    let forward = async {
        loop {
            if let Ok(mut changes) = engine.watch_images().await {
                while let Some(Ok(())) = changes.next().await {
                    tokio::time::sleep(IMAGES_MERGE).await;
                    while let Some(Some(Ok(()))) = changes.next().now_or_never() {}
                    let _ = reports.send(Report::ImagesChanged);
                }
            }
            tokio::time::sleep(RECONNECT_INTERVAL).await;
            // Some may have been missed meanwhile.
            let _ = reports.send(Report::ImagesChanged);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = forward => {}
    }
}

/// Sends a message whenever another process stores a request.
pub(crate) async fn requests(store: Arc<Store>, reports: mpsc::UnboundedSender<Report>, stop: CancellationToken) {
    let hear = async {
        let mut listener = store.listen().await;
        loop {
            listener.recv().await;
            let _ = reports.send(Report::Requested);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = hear => {}
    }
}

/// Sends a message for every change in the watched folders.
pub(crate) async fn file_changes(mut watch: Watch, reports: mpsc::UnboundedSender<Report>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = watch.changed() => if reports.send(Report::FilesChanged).is_err() { return },
        }
    }
}

/// Sends a message for every delivery to the webhook; deliveries in quick succession are merged.
pub(crate) async fn deliveries(woken: Arc<Notify>, reports: mpsc::UnboundedSender<Report>, stop: CancellationToken) {
    let forward = async || {
        woken.notified().await;
        // Everything delivered until now is covered by the read that is about to begin.
        let _ = woken.notified().now_or_never();
        let open = reports.send(Report::FilesChanged).is_ok();
        tokio::time::sleep(MERGE_WINDOW).await;
        open
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            open = forward() => if !open { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_deliveries_is_one_look_and_none_is_forgotten() {
        let (woken, (reports, mut inbox)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
        let task = tokio::spawn(deliveries(woken.clone(), reports, CancellationToken::new()));
        let mut reads = async || {
            tokio::time::sleep(MERGE_WINDOW * 10).await;
            std::iter::from_fn(|| inbox.try_recv().ok()).count()
        };
        assert_eq!(reads().await, 0);
        (0..1000).for_each(|_| woken.notify_one());
        assert_eq!(reads().await, 1);
        woken.notify_one();
        tokio::time::sleep(MERGE_WINDOW / 2).await;
        // A read may be running already: what comes now needs another one.
        (0..1000).for_each(|_| woken.notify_one());
        assert_eq!(reads().await, 2);
        task.abort();
    }
}
