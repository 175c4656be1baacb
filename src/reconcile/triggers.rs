//! What wakes the reconciler, and what the tasks it started report back. Messages carry what happened for the record;
//! the planner never sees them.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    core::{
        desired::DesiredPod,
        names::PodId,
        plan::{Action, Step},
        retry::Failure,
    },
    engine::{Engine, EngineEvent},
    source::Watch,
};

/// A message to the reconciler.
pub(super) enum Report {
    /// Something in the watched folders changed.
    FilesChanged,
    /// The engine says something happened to a container of ours.
    Engine(EngineEvent),
    /// The engine's events broke off or began again: something may have been missed.
    LookAgain,
    /// A pod's step is about to be tried.
    Step(PodId, Step),
    /// A pod's image is being pulled: received and total bytes.
    Pulling(PodId, u64, u64),
    /// A pod's action ended; why it failed, if it did.
    Finished { pod: PodId, action: Box<Action>, wish: Option<Box<DesiredPod>>, outcome: Result<(), Failure> },
    /// A container's probe was answered.
    Probed { pod: PodId, container: String, answer: Result<(), String> },
    /// A pod's last log lines were read for an event.
    Logs { pod: PodId, kind: String, message: String, lines: Vec<String> },
}

/// Sends the engine's events, for ever; a broken stream is opened again and leads to a look.
pub(super) async fn engine_events(
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
            // Subscribed first, looked afterwards: nothing falls in between.
            let _ = reports.send(Report::LookAgain);
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
            // Most likely the engine went away: better seen now than at the next tick.
            let _ = reports.send(Report::LookAgain);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
        }
    }
}

/// Sends a word for every change in the watched folders.
pub(super) async fn file_changes(mut watch: Watch, reports: mpsc::UnboundedSender<Report>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = watch.changed() => if reports.send(Report::FilesChanged).is_err() { return },
        }
    }
}
