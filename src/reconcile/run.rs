//! The loop: waits for whatever comes first — a report, a saved file, the time when something is due — and makes a
//! round. Everything that arrived meanwhile is handled by one round.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug_span, info, warn};

use super::{
    Reconciler,
    message::{Report, Trigger},
    observe::{git_poll, triggers},
    reconciler::Outage,
};
use crate::{
    core::{
        decide::{
            due::next_due,
            ending::{Ending, Progress},
            plan::{Action, ActionFailure, Step},
        },
        declare::desired::DesiredPod,
        event::EventKind,
        names::PodId,
        observe::{actual::Actual, health::ProbeFailure},
    },
    engine::ContainerChange,
    source::{Source, Watch},
    store::{Event, StoreError},
};

/// How long a stop waits for running steps.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How soon a round is attempted again while the database or the engine is unreachable.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest wait for something that is due by the clock.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// How long to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until stopped.
    Daemon,
    /// Until every pod runs as declared, or cannot, or this much time has passed.
    Once(Duration),
}

impl Reconciler {
    /// Reads the source whenever `woken` is notified, at no cost to the notifier; a source that has to be fetched is also
    /// fetched at intervals.
    pub fn wake_on(&self, woken: Arc<Notify>, stop: CancellationToken) {
        let reports = self.reports.clone();
        match self.source.source() {
            Source::Directory(_) => tokio::spawn(triggers::deliveries(woken, reports, stop)),
            Source::Git(git) => {
                // Before the first round, which would otherwise fetch by itself.
                git.mark_polled();
                tokio::spawn(git_poll::poll(git.clone(), woken, reports, stop))
            }
        };
    }

    /// Makes rounds until `stop` is cancelled or, in [`Mode::Once`], everything is decided.
    pub async fn run(mut self, mode: Mode, watch: Option<Watch>, stop: CancellationToken) -> Ending {
        let started = crate::clock::runtime_instant();
        tokio::spawn(triggers::engine_events(self.engine.clone(), self.reports.clone(), stop.clone()));
        tokio::spawn(triggers::image_changes(self.engine.clone(), self.reports.clone(), stop.clone()));
        if mode == Mode::Daemon {
            tokio::spawn(triggers::requests(self.store.clone(), self.reports.clone(), stop.clone()));
        }
        if let Some(watch) = watch {
            tokio::spawn(triggers::file_changes(watch, self.reports.clone(), stop.clone()));
        }
        loop {
            let (reads, began) = (self.source.is_due(), crate::clock::runtime_instant());
            let span = debug_span!("round", number = self.rounds + 1, trigger = self.trigger());
            let outcome = self.round().instrument(span).await;
            self.metrics.round(began.elapsed(), outcome.is_ok());
            match outcome {
                Ok(()) => {
                    if reads {
                        self.source.was_read();
                    }
                    self.triggers.clear();
                    if let Some(outage) = self.database.take() {
                        self.database_back(&outage);
                    }
                }
                Err(error @ StoreError::NotLeading) if mode != Mode::Daemon => {
                    return Ending::Failed(vec![error.to_string()]);
                }
                // The daemon stops this reconciler.
                Err(StoreError::NotLeading) => {}
                Err(error) => self.database_away(error).await,
            }
            if let Mode::Once(limit) = mode
                && let Some(ending) = self.progress().ending(started.elapsed() >= limit)
            {
                return ending;
            }
            if !self.wait(&stop).await {
                self.finish_steps().await;
                return Ending::Stopped;
            }
        }
    }

    /// Waits for running steps: stopped between an old container and its new one, a pod would stay down.
    async fn finish_steps(&mut self) {
        let deadline = crate::clock::runtime_instant() + STOP_TIMEOUT;
        while self.ledger.busy().next().is_some() {
            match tokio::time::timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(report)) => {
                    self.handle(report);
                }
                _ => break,
            }
        }
        if let Err(error) = self.journal.flush(self.ledger.states()).await {
            warn!(code = error.code(), "the last changes could not be stored: {error}");
        }
    }

    async fn database_away(&mut self, error: StoreError) {
        let why = error.to_string();
        let since = match self.database.take() {
            Some(outage) => outage.since,
            None => {
                warn!(code = error.code(), "{why}; AgentPod changes nothing until the database can be used");
                crate::clock::now()
            }
        };
        self.database = Some(Outage { why, since });
        if let Some(embedded) = self.embedded.clone() {
            embedded.restart_if_gone().await;
        }
        self.publish();
    }

    /// Records an outage that is over: while it lasted nothing could be stored.
    fn database_back(&mut self, outage: &Outage) {
        let seconds = (crate::clock::now() - outage.since).whole_seconds().max(0);
        info!("the database answers again");
        let message =
            format!("the database could not be used for {seconds} s, and AgentPod changed nothing: {}", outage.why);
        self.journal.event(Event::of_none(EventKind::DatabaseUnavailable, message));
        self.publish();
    }

    /// Waits until a round is due. `false` means stop.
    async fn wait(&mut self, stop: &CancellationToken) -> bool {
        // The source is read in time however often something else causes a round.
        let source_due = self.source.due_at(self.settings.tick);
        let due = crate::clock::runtime_instant() + self.until_due();
        let due = if self.source.is_due() { due } else { due.min(source_due) };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                report = self.inbox.recv() => {
                    let Some(report) = report else { return false };
                    let mut round_due = self.receive(report);
                    while let Ok(report) = self.inbox.try_recv() {
                        round_due |= self.receive(report);
                    }
                    if round_due {
                        break;
                    }
                }
                () = sleep_until(due) => {
                    self.triggers.insert(Trigger::Clock);
                    break;
                }
            }
        }
        if crate::clock::runtime_instant() >= source_due {
            self.source.set_due();
        }
        true
    }

    /// Handles a message, and records its trigger if a round is due for it.
    fn receive(&mut self, report: Report) -> bool {
        let trigger = report.trigger();
        let round_due = self.handle(report);
        if round_due {
            self.triggers.insert(trigger);
        }
        round_due
    }

    /// What caused this round, for people.
    pub(super) fn trigger(&self) -> String {
        self.triggers.iter().map(Trigger::to_string).collect::<Vec<_>>().join(", ")
    }

    /// How long until something is due by the clock alone.
    fn until_due(&self) -> Duration {
        if self.database.is_some() || matches!(self.actual, Actual::Unknown(_)) {
            return RETRY_INTERVAL;
        }
        let now = crate::clock::now();
        let next = next_due(&self.plan, self.ledger.states(), self.desired.as_deref(), now);
        let wait = next.map(|at| Duration::try_from(at - now).unwrap_or_default().max(SHORTEST_WAIT));
        wait.map_or(self.settings.tick, |wait| wait.min(self.settings.tick))
    }

    /// Handles a message. Returns whether a round is due for it.
    fn handle(&mut self, report: Report) -> bool {
        match report {
            Report::FilesChanged | Report::Fetched | Report::Judged => {
                self.source.set_due();
                true
            }
            Report::Synced(requests) => {
                self.requests.fetched(&requests);
                self.source.set_due();
                true
            }
            Report::EngineReconnected => {
                self.look_for_images();
                true
            }
            Report::Requested => true,
            Report::ImagesChanged => {
                self.look_for_images();
                false
            }
            Report::Images(ids) => self.images_seen(ids),
            Report::Engine(event) => {
                if event.change == ContainerChange::Removed {
                    self.last_seen.forget(&event.container);
                    self.is_tidying_due = true;
                }
                self.report_engine_event(event);
                true
            }
            Report::Step(pod, step) => {
                if let Step::Remove(container) = &step {
                    self.last_seen.forget(container);
                }
                self.work.begin_step(pod, step, crate::clock::now());
                self.publish();
                false
            }
            Report::Pulling(pod, progress) => {
                let is_first = self.work.pulling(&pod, progress);
                self.publish();
                is_first
            }
            Report::Finished { pod, action, cause, desired_pod, outcome } => {
                self.finished(&pod, &action, &cause, desired_pod.as_deref(), outcome);
                true
            }
            Report::InfraFinished { item, action, cause, outcome } => {
                self.metrics.action(&action, &outcome);
                self.report_infra_outcome(&item, &cause, outcome.as_ref().err());
                self.ledger.finish_infra(&item, outcome.as_ref().map(drop), crate::clock::now());
                true
            }
            Report::Probed { pod, container, answer } => self.probed(&pod, &container, answer),
            Report::Event(pod, event) => {
                self.report_event(&pod, event);
                true
            }
            Report::Reveal(pod, answer) => {
                // The person may have stopped waiting.
                let _ = answer.send(self.reveal(&pod));
                false
            }
        }
    }

    fn finished(
        &mut self,
        pod: &PodId,
        action: &Action,
        cause: &str,
        desired: Option<&DesiredPod>,
        outcome: Result<(), ActionFailure>,
    ) {
        // The engine's error may quote secrets it was given.
        let outcome = outcome.map_err(|failure| {
            let values = self.secrets.of_pod(pod, self.desired_pod(pod));
            ActionFailure { why: values.redactor(pod).clean(&failure.why), ..failure }
        });
        self.work.finish(pod, action, outcome.is_err());
        self.metrics.action(action, &outcome);
        self.report_outcome(pod, action, cause, &outcome);
        self.ledger.finish(pod, action, desired, outcome, crate::clock::now());
    }

    fn probed(&mut self, pod: &PodId, container: &str, answer: Result<(), ProbeFailure>) -> bool {
        let Some(desired) = self.desired.as_ref().and_then(|desired| desired.pods.get(pod)) else { return false };
        let probe = &desired.declared.adapter.spec.health;
        let Some(change) = self.ledger.probed(pod, container, answer, probe, crate::clock::now()) else { return false };
        self.published.statuses.probed(pod, &change);
        change.is_news()
    }

    /// How far a one-shot run has come.
    fn progress(&self) -> Progress<'_> {
        Progress {
            refused: self.source.problems(),
            database: self.database.as_ref().map(|outage| outage.why.as_str()),
            is_stored: self.is_stored && self.desired.is_some(),
            actual: &self.actual,
            plan: &self.plan,
            statuses: self.published.statuses.all(),
        }
    }
}
