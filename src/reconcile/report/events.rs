//! Events: one line in the log and one event in the history for everything that happens to a pod, with the container's
//! last log lines where they help. Log lines are kept only without secrets, and not at all when the secrets are
//! unknown.

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
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// In an event's details: the last log lines.
const LOG: &str = "log";
/// In an event's details: why there are none.
const LOG_OMITTED: &str = "log_omitted";

impl Reconciler {
    /// Reports an event of a pod: in the log now, in the history with the next write.
    pub(crate) fn report_event(&mut self, pod: &PodId, event: PodEvent) {
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

    /// Reports it with the container's last log lines, which are read in a task of their own.
    pub(crate) fn report_event_with_logs(&mut self, pod: &PodId, mut event: PodEvent) {
        let Some(container) = event.container.take().or_else(|| self.published.statuses.container(pod)) else {
            return self.report_event(pod, event);
        };
        event.container = Some(container.clone());
        let values = match self.values_in(pod, &container) {
            Ok(values) => values,
            Err(why) => return self.report_event(pod, event.with(LOG_OMITTED, why.to_string())),
        };
        let (engine, reports, pod) = (self.engine.clone(), self.reports.clone(), pod.clone());
        tokio::spawn(async move {
            let redactor = values.redactor(&pod);
            let event = match redactor.too_short() {
                Some(name) => event.with(LOG_OMITTED, format!("{name} is too short to be redacted")),
                None => {
                    match tokio::time::timeout(READ_TIMEOUT, last_lines(engine.as_ref(), &container, &redactor)).await {
                        Ok(Some(lines)) if lines.is_empty() => event,
                        Ok(Some(lines)) => event.with(LOG, lines),
                        Ok(None) | Err(_) => event.with(LOG_OMITTED, "the engine did not return them"),
                    }
                }
            };
            let _ = reports.send(Report::Event(pod, event));
        });
    }

    /// Reports how a pod's action ended. One with a verdict was reported when it began.
    pub(crate) fn report_outcome(
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
        self.report_event(pod, event.because(cause).about(event_text::container(action)));
    }

    /// Reports how the action of an item that belongs to no pod ended.
    pub(crate) fn report_infra_outcome(&mut self, item: &InfraId, cause: &str, failure: Option<&ActionFailure>) {
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

    /// Reports an engine event of a pod's container, unless our own steps caused it.
    pub(crate) fn report_engine_event(&mut self, event: EngineEvent) {
        let Some(pod) = event.pod else { return };
        let (is_ours, container) = (self.work.is_ours(&event.container), event.container);
        let about = |kind, message| PodEvent::new(kind, message).about(Some(&container));
        match event.change {
            ContainerChange::Exited { code: Some(code) } if !is_ours => {
                let message = format!("{container} exited with code {code}");
                self.report_event_with_logs(&pod, about(EventKind::Exited, message));
            }
            ContainerChange::OutOfMemory => {
                self.report_event(
                    &pod,
                    about(EventKind::OutOfMemory, format!("{container} exceeded its memory limit")),
                );
            }
            ContainerChange::Removed if !is_ours => {
                self.report_event(
                    &pod,
                    about(EventKind::Vanished, format!("{container} was removed by somebody else")),
                );
            }
            _ => {}
        }
    }

    /// Reports, once, that removals are held, and how to approve them.
    pub(crate) fn report_held_removals(&mut self) {
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

    /// The values to redact from what a pod's container writes.
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
