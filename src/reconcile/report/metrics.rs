//! Counters of the rounds: how many, how long they take, the outcomes of steps, how long a change takes to be synced.
//! Only counters; gauges of the current state come from the overview. Clones share their counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::core::{
    decide::plan::{Action, ActionFailure, Step},
    event::EventKind,
};

/// Bounds for the duration of rounds, in seconds; a quiet one takes milliseconds.
const ROUND_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Bounds for the time from a fetched revision until every pod runs as declared, in seconds.
const APPLY_SECONDS: [f64; 11] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// The counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    rounds: Counter,
    failed_rounds: Counter,
    round_seconds: Histogram,
    steps: Family<StepLabels, Counter>,
    apply_seconds: Histogram,
    events: Family<EventLabels, Counter>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EventLabels {
    kind: &'static str,
    severity: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StepLabels {
    kind: &'static str,
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rounds: Counter::default(),
            failed_rounds: Counter::default(),
            round_seconds: Histogram::new(ROUND_SECONDS),
            steps: Family::default(),
            apply_seconds: Histogram::new(APPLY_SECONDS),
            events: Family::default(),
        }
    }
}

impl Metrics {
    /// A round ended after this time, or was aborted because the database was unreachable.
    pub(crate) fn round(&self, took: Duration, made: bool) {
        if made {
            self.rounds.inc();
            self.round_seconds.observe(took.as_secs_f64());
        } else {
            self.failed_rounds.inc();
        }
    }

    /// An action ended: every step before the failed one was executed, later ones were not attempted.
    pub(crate) fn action(&self, action: &Action, outcome: &Result<(), ActionFailure>) {
        let failed = outcome.as_ref().err().map(|failure| failure.step.as_deref());
        for step in &action.steps {
            match failed {
                // It failed before its first step.
                Some(None) => return,
                Some(Some(failed)) if step == failed => return self.step(step, "failed"),
                _ => self.step(step, "done"),
            }
        }
    }

    fn step(&self, step: &Step, result: &'static str) {
        self.steps.get_or_create(&StepLabels { kind: kind(step), result }).inc();
    }

    /// A revision was synced this long after it was fetched.
    pub(crate) fn synced(&self, after: time::Duration) {
        self.apply_seconds.observe(after.as_seconds_f64().max(0.0));
    }

    /// An event was recorded.
    pub(crate) fn event(&self, kind: EventKind) {
        let labels = EventLabels { kind: kind.as_str(), severity: kind.severity().as_str() };
        self.events.get_or_create(&labels).inc();
    }

    /// Registers the counters for the metrics endpoint.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("rounds", "Rounds made", self.rounds.clone());
        let help = "Rounds aborted because the database was unreachable";
        registry.register("rounds_failed", help, self.failed_rounds.clone());
        registry.register("round_duration_seconds", "Duration of rounds", self.round_seconds.clone());
        let help = "Steps attempted on the container engine, by kind and outcome";
        registry.register("steps", help, self.steps.clone());
        let help = "Time from an accepted revision until nothing was left to do for it";
        registry.register("apply_duration_seconds", help, self.apply_seconds.clone());
        registry.register("events", "Events by kind and severity", self.events.clone());
    }
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Image(_) => "image",
        Step::Network(_) => "network",
        Step::Volume(_) => "volume",
        Step::Create(_) => "create",
        Step::Upload(..) => "upload",
        Step::Attach(..) => "attach",
        Step::Start(_) => "start",
        Step::Stop(_) => "stop",
        Step::Remove(_) => "remove",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decide::plan::{Cause, Fault};

    #[test]
    fn steps_are_counted_up_to_the_one_that_failed() {
        let steps = vec![Step::Create("a".into()), Step::Start("a".into()), Step::Remove("b".into())];
        let action = Action { cause: Cause::Missing, verdict: None, steps };
        let metrics = Metrics::default();
        let failure = |step: Option<&Step>| {
            Err(ActionFailure { why: "no".into(), step: step.cloned().map(Box::new), fault: Fault::Engine })
        };
        metrics.action(&action, &Ok(()));
        metrics.action(&action, &failure(Some(&action.steps[1])));
        metrics.action(&action, &failure(None));
        let count = |kind, result| metrics.steps.get_or_create(&StepLabels { kind, result }).get();
        let done = ["create", "start", "remove"].map(|kind| count(kind, "done"));
        let failed = ["create", "start", "remove"].map(|kind| count(kind, "failed"));
        assert_eq!((done, failed), ([2, 1, 1], [0, 1, 0]));
    }
}
