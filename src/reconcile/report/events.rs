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
        declare::infra::InfraId,
        event::EventKind,
        names::PodId,
        observe::actual::Actual,
    },
    engine::{ContainerChange, Engine, EngineEvent, LogQuery},
    reconcile::{
        Reconciler,
        act::{
            redact::Redactor,
            secrets_in_use::{Values, ValuesUnknown},
        },
        message::Report,
        report::pod_event::PodEvent,
    },
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
    /// Tells an event of a pod: in the log now, in the history with the next write.
    pub(crate) fn tell(&mut self, pod: &PodId, event: PodEvent) {
        let (kind, message, cause) = (event.kind, &event.message, event.cause.as_deref());
        if kind.severity().is_bad() {
            warn!(%pod, %kind, cause, "{pod}: {message}");
        } else {
            info!(%pod, %kind, cause, "{pod}: {message}");
        }
        self.journal.event(Event {
            pod: Some(pod.clone()),
            kind,
            container: event.container.or_else(|| self.published.statuses.container(pod)),
            message: event.message,
            revision: self.source.row(),
            cause: event.cause,
            details: (!event.details.is_empty()).then_some(Value::Object(event.details)),
        });
    }

    /// The same with the container's last log lines, which are read in a task of their own.
    pub(crate) fn tell_with_logs(&mut self, pod: &PodId, mut event: PodEvent) {
        let Some(container) = event.container.take().or_else(|| self.published.statuses.container(pod)) else {
            return self.tell(pod, event);
        };
        event.container = Some(container.clone());
        let values = match self.values_in(pod, &container) {
            Ok(values) => values,
            Err(why) => return self.tell(pod, event.with(LEFT_OUT, why.to_string())),
        };
        let (engine, reports, pod) = (self.engine.clone(), self.reports.clone(), pod.clone());
        tokio::spawn(async move {
            let redactor = values.redactor();
            let event = match redactor.too_short() {
                Some(name) => event.with(LEFT_OUT, format!("{name} is too short to be found in them")),
                None => match tokio::time::timeout(READING, last_lines(engine.as_ref(), &container, &redactor)).await {
                    Ok(Some(lines)) if lines.is_empty() => event,
                    Ok(Some(lines)) => event.with(LOG, lines),
                    Ok(None) | Err(_) => event.with(LEFT_OUT, "the engine did not give them"),
                },
            };
            let _ = reports.send(Report::Event(pod, event));
        });
    }

    /// Tells how a pod's action ended. One with a verdict was told when it began.
    pub(crate) fn tell_outcome(
        &mut self,
        pod: &PodId,
        action: &Action,
        cause: &str,
        outcome: &Result<(), ActionFailure>,
    ) {
        let event = match outcome {
            Ok(()) if action.verdict.is_some() => return,
            Ok(()) => PodEvent::new(event_text::kind(action), event_text::done(action)),
            Err(failure) => {
                let event = PodEvent::new(EventKind::Failed, failure.why.clone());
                failure.step.iter().fold(event, |event, step| event.with("step", step.to_string()))
            }
        };
        self.tell(pod, event.because(cause).about(event_text::container(action)));
    }

    /// Tells how the action of an item that belongs to no pod ended.
    pub(crate) fn tell_infra_outcome(&mut self, item: &InfraId, cause: &str, failure: Option<&ActionFailure>) {
        let (kind, message) = match failure {
            None => (EventKind::Created, format!("{item} was created")),
            Some(failure) => (EventKind::Failed, format!("{item}: {}", failure.why)),
        };
        if kind.severity().is_bad() {
            warn!(%kind, cause, "{message}");
        } else {
            info!(%kind, cause, "{message}");
        }
        self.journal.event(Event { cause: Some(cause.to_owned()), ..Event::of_none(kind, message) });
    }

    /// Tells what the engine says of a pod's container, unless it is our own doing.
    pub(crate) fn tell_engine_event(&mut self, event: EngineEvent) {
        let Some(pod) = event.pod else { return };
        let (is_ours, container) = (self.work.is_ours(&event.container), event.container);
        let about = |kind, message| PodEvent::new(kind, message).about(Some(&container));
        match event.change {
            ContainerChange::Exited { code: Some(code) } if !is_ours => {
                let message = format!("{container} ended with exit code {code}");
                self.tell_with_logs(&pod, about(EventKind::Exited, message));
            }
            ContainerChange::OutOfMemory => {
                self.tell(&pod, about(EventKind::OutOfMemory, format!("{container} took more memory than it may")));
            }
            ContainerChange::Removed if !is_ours => {
                self.tell(&pod, about(EventKind::Vanished, format!("{container} was removed by somebody else")));
            }
            _ => {}
        }
    }

    /// Tells, once, that removals are held, and how to approve them.
    pub(crate) fn tell_held_removals(&mut self) {
        if !matches!(self.actual, Actual::Observed(_)) {
            return;
        }
        let Some(held) = &self.plan.held_removals else {
            self.published.held.end();
            return;
        };
        if self.published.held.begin(&held.why.plan) {
            warn!("{held}");
            let event = Event::of_none(EventKind::RemovalsHeld, held.to_string());
            self.journal.event(Event { revision: self.source.row(), ..event });
        }
    }

    /// Everything that may stand in what a pod's container writes.
    pub(crate) fn values_in(&self, pod: &PodId, container: &str) -> Result<Values, ValuesUnknown> {
        self.secrets.in_container(pod, self.desired_pod(pod), container)
    }
}

async fn last_lines(engine: &dyn Engine, container: &str, redactor: &Redactor) -> Option<Vec<String>> {
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
