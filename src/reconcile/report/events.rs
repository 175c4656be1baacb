//! The history as it is told: one line in the log and one event for everything that happens to a pod, with a
//! container's last words where they help. What a container wrote is kept only without its secrets, and not at all when
//! these are not known.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tracing::{info, warn};

use super::event_text;
use crate::{
    core::{
        decide::plan::{Action, ActionFailure},
        event::EventKind,
        names::PodId,
    },
    engine::{ContainerChange, Engine, EngineEvent, LogQuery},
    reconcile::{Reconciler, act::redact::Redactor, message::Report, report::pod_event::PodEvent},
    store::Event,
};

/// How many of a container's last log lines go with an event.
const LOG_LINES: usize = 20;
/// The most characters of a line that are kept.
const LONGEST_LINE: usize = 2_000;
/// How long reading them may take.
const READING: Duration = Duration::from_secs(5);
/// In an event's details: the last log lines.
const LOG: &str = "log";
/// In an event's details: why there are none.
const LEFT_OUT: &str = "logLeftOut";

impl Reconciler {
    /// Tells something of a pod: in the log now, in the history with the next write.
    pub(crate) fn note(&mut self, pod: &PodId, note: PodEvent) {
        let (kind, message, cause) = (note.kind, &note.message, note.cause.as_deref());
        if kind.severity().is_bad() {
            warn!(%pod, %kind, cause, "{pod}: {message}");
        } else {
            info!(%pod, %kind, cause, "{pod}: {message}");
        }
        let standing = || self.statuses.get(pod).and_then(|status| status.container.clone());
        self.journal.event(Event {
            pod: Some(pod.clone()),
            kind,
            container: note.container.or_else(standing),
            message: note.message,
            revision: self.revision_row,
            cause: note.cause,
            details: (!note.details.is_empty()).then_some(Value::Object(note.details)),
        });
    }

    /// The same with the container's last log lines, which are read in a task of their own.
    pub(crate) fn note_with_logs(&mut self, pod: &PodId, mut note: PodEvent) {
        let standing = || self.statuses.get(pod).and_then(|status| status.container.clone());
        let Some(container) = note.container.take().or_else(standing) else { return self.note(pod, note) };
        note.container = Some(container.clone());
        let values = match self.values_in(pod, &container) {
            Ok(values) => values,
            Err(why) => return self.note(pod, note.with(LEFT_OUT, why)),
        };
        let (engine, reports, pod) = (self.engine.clone(), self.reports.clone(), pod.clone());
        tokio::spawn(async move {
            let redactor = values.redactor();
            let note = match redactor.too_short() {
                Some(name) => note.with(LEFT_OUT, format!("{name} is too short to be found in them")),
                None => match tokio::time::timeout(READING, last_words(engine.as_ref(), &container, &redactor)).await {
                    Ok(Some(lines)) if lines.is_empty() => note,
                    Ok(Some(lines)) => note.with(LOG, lines),
                    Ok(None) | Err(_) => note.with(LEFT_OUT, "the engine did not give them"),
                },
            };
            let _ = reports.send(Report::Noted(pod, note));
        });
    }

    /// Tells how a pod's action ended. One with a verdict was told when it began.
    pub(crate) fn note_outcome(
        &mut self,
        pod: &PodId,
        action: &Action,
        cause: &str,
        outcome: &Result<(), ActionFailure>,
    ) {
        let note = match outcome {
            Ok(()) if action.verdict.is_some() => return,
            Ok(()) => PodEvent::new(event_text::kind(action), event_text::done(action)),
            Err(failure) => {
                let note = PodEvent::new(EventKind::Failed, failure.why.clone());
                failure.step.iter().fold(note, |note, step| note.with("step", step.to_string()))
            }
        };
        self.note(pod, note.because(cause).about(event_text::container(action)));
    }

    /// Tells what the engine says of a pod's container, unless it is our own doing.
    pub(crate) fn note_engine(&mut self, event: EngineEvent) {
        let Some(pod) = event.pod else { return };
        let (ours, container) = (self.touched.contains_key(&event.container), event.container);
        let note = |kind, message| PodEvent::new(kind, message).about(Some(&container));
        match event.change {
            ContainerChange::Exited { code: Some(code) } if !ours => {
                self.note_with_logs(&pod, note(EventKind::Exited, format!("{container} ended with exit code {code}")));
            }
            ContainerChange::OutOfMemory => {
                self.note(&pod, note(EventKind::OutOfMemory, format!("{container} took more memory than it may")));
            }
            ContainerChange::Removed if !ours => {
                self.note(&pod, note(EventKind::Vanished, format!("{container} was removed by somebody else")));
            }
            _ => {}
        }
    }
}

async fn last_words(engine: &dyn Engine, container: &str, redactor: &Redactor) -> Option<Vec<String>> {
    let query = LogQuery { tail: LOG_LINES, follow: false, timestamps: false };
    let lines = engine.logs(container, query).await.ok()?;
    let lines = lines.filter_map(async |line| line.ok()).map(|line| shorten(redactor.clean(&line.text)));
    Some(lines.collect().await)
}

fn shorten(line: String) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
