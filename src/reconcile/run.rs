//! The loop: waits for whatever comes first — a report, a saved file, the next time something is due — and makes a
//! round. Everything that arrived meanwhile is one round.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Reconciler,
    observe::{git_poll, triggers},
    reconciler::WorkInProgress,
    report::event_text,
};
use crate::{
    core::{
        decide::plan::{ActionFailure, Decision, Hold},
        names::PodId,
        observe::actual::Actual,
        report::{phase::Phase, reason::Reason},
    },
    reconcile::message::Report,
    source::{Source, Watch},
    store::StoreError,
};

/// How long a stop waits for steps that are under way.
const SEE_THROUGH: Duration = Duration::from_secs(30);
/// How soon a round is tried again while the database or the engine is away.
const AWAY: Duration = Duration::from_secs(2);

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until stopped.
    Daemon,
    /// Until every pod is as declared and ready, or cannot be, or this much time has passed.
    Once(Duration),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was stopped.
    Stopped,
    /// Everything is as declared.
    Applied,
    /// It cannot be applied; why, by pod or for all.
    Failed(Vec<String>),
}

impl Reconciler {
    /// From now on looks at the source whenever `woken` is notified, which costs whoever notifies nothing; and if it is
    /// one that has to be fetched, fetches it from time to time.
    pub fn wake_on(&self, woken: Arc<Notify>, stop: CancellationToken) {
        let reports = self.reports.clone();
        match self.inputs.source() {
            Source::Directory(_) => tokio::spawn(triggers::deliveries(woken, reports, stop)),
            Source::Git(git) => {
                // Before the first round, which would fetch by itself.
                git.is_polled_from_now_on();
                tokio::spawn(git_poll::fetches(git.clone(), woken, reports, stop))
            }
        };
    }

    /// Makes rounds until `stop` is cancelled or, in [`Mode::Once`], everything is decided.
    pub async fn run(mut self, mode: Mode, watch: Option<Watch>, stop: CancellationToken) -> Ending {
        let started = crate::clock::runtime_instant();
        tokio::spawn(triggers::engine_events(self.engine.clone(), self.reports.clone(), stop.clone()));
        if mode == Mode::Daemon {
            tokio::spawn(triggers::requests(self.store.clone(), self.reports.clone(), stop.clone()));
        }
        if let Some(watch) = watch {
            tokio::spawn(triggers::file_changes(watch, self.reports.clone(), stop.clone()));
        }
        loop {
            let (reads, began) = (self.source_due, crate::clock::runtime_instant());
            let outcome = self.round().await;
            self.metrics.round(began.elapsed(), outcome.is_ok());
            match outcome {
                Ok(()) => {
                    if reads {
                        self.source_read = crate::clock::runtime_instant();
                    }
                    self.woken.clear();
                    if self.database.take().is_some() {
                        info!("the database answers again");
                        self.publish();
                    }
                }
                Err(error) => self.database_away(error).await,
            }
            if let Mode::Once(limit) = mode
                && let Some(ending) = self.ending(started.elapsed() >= limit)
            {
                return ending;
            }
            if !self.wait(&stop).await {
                self.see_through().await;
                return Ending::Stopped;
            }
        }
    }

    /// Waits for steps that are under way: stopped between an old container and its new one, a pod would stay down.
    async fn see_through(&mut self) {
        let deadline = crate::clock::runtime_instant() + SEE_THROUGH;
        while self.states.values().any(|pod| pod.busy) {
            match tokio::time::timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(report)) => {
                    self.take(report);
                }
                _ => break,
            }
        }
        if let Err(error) = self.journal.flush(&self.states).await {
            warn!(code = error.code(), "what was done last could not be written down: {error}");
        }
    }

    async fn database_away(&mut self, error: StoreError) {
        let why = error.to_string();
        if self.database.is_none() {
            warn!(code = error.code(), "{why}; nothing is changed until it answers");
        }
        self.database = Some(why);
        if let Some(embedded) = self.embedded.clone() {
            match embedded.ensure_running().await {
                Ok(true) => info!("the private database server was started again"),
                Ok(false) => {}
                Err(error) => error!(code = error.code(), "{error}"),
            }
        }
        self.publish();
    }

    /// Waits until a round is due. `false` means stop.
    async fn wait(&mut self, stop: &CancellationToken) -> bool {
        // Whatever else wakes us, and however often: the source is looked at in time.
        let look = self.source_read + self.tick;
        let due = crate::clock::runtime_instant() + self.until_due();
        let due = if self.source_due { due } else { due.min(look) };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                report = self.inbox.recv() => {
                    let Some(report) = report else { return false };
                    let mut round_due = self.take_in(report);
                    while let Ok(report) = self.inbox.try_recv() {
                        round_due |= self.take_in(report);
                    }
                    if round_due {
                        break;
                    }
                }
                () = sleep_until(due) => {
                    self.woken.insert("the clock");
                    break;
                }
            }
        }
        self.source_due |= crate::clock::runtime_instant() >= look;
        true
    }

    /// Takes a report in, and remembers what it was if a round is due for it.
    fn take_in(&mut self, report: Report) -> bool {
        let what = report.what();
        let round_due = self.take(report);
        if round_due {
            self.woken.insert(what);
        }
        round_due
    }

    /// What woke us for this round, for the record.
    pub(super) fn trigger(&self) -> String {
        self.woken.iter().copied().collect::<Vec<_>>().join(", ")
    }

    /// How long until something is due by the clock alone.
    fn until_due(&self) -> Duration {
        if self.database.is_some() || matches!(self.actual, Actual::Unknown(_)) {
            return AWAY;
        }
        let now = crate::clock::now();
        let retries = self.plan.pods.values().filter_map(|decision| match decision {
            Decision::Hold(Hold::RetryAt(retry)) => Some(retry.at),
            Decision::Hold(Hold::RemovalGrace(until)) => Some(*until),
            Decision::Hold(Hold::Paused(pause)) => pause.until,
            _ => None,
        });
        let starts = self.states.iter().filter_map(|(id, pod)| {
            let health = pod.health.as_ref().filter(|health| !health.ready)?;
            let probe = &self.desired.as_ref()?.pods.get(id)?.declared.adapter.spec.health;
            Some(health.since + probe.startup.duration()).filter(|at| *at > now)
        });
        let going_back =
            self.states.values().filter_map(|pod| Some(pod.going_back.as_ref()?.at)).filter(|at| *at > now);
        let next = retries
            .chain(starts)
            .chain(going_back)
            .min()
            .map(|at| (at - now).max(time::Duration::milliseconds(50)).unsigned_abs());
        next.map_or(self.tick, |next| next.min(self.tick))
    }

    /// Takes a report in. Answers whether a round is due for it.
    fn take(&mut self, report: Report) -> bool {
        match report {
            Report::FilesChanged | Report::Fetched => {
                self.source_due = true;
                true
            }
            Report::Synced(requests) => {
                self.fetching.retain(|request| !requests.contains(request));
                self.source_due = true;
                true
            }
            Report::LookAgain | Report::Asked => true,
            Report::Engine(event) => {
                self.note_engine(event);
                true
            }
            Report::Step(pod, step) => {
                self.touch(&step, crate::clock::now());
                self.doing.insert(pod, WorkInProgress { step, pull: None });
                self.publish();
                false
            }
            Report::Pulling(pod, progress) => {
                let has_begun = self.doing.get_mut(&pod).is_some_and(|doing| doing.pull.replace(progress).is_none());
                self.publish();
                has_begun
            }
            Report::Finished { pod, action, cause, desired_pod, outcome } => {
                self.doing.remove(&pod);
                let now = crate::clock::now();
                // The engine may quote what it was given.
                let clean = |failure: ActionFailure| ActionFailure {
                    why: self.known_values(&pod).redactor().clean(&failure.why),
                    ..failure
                };
                let outcome = outcome.map_err(clean);
                if outcome.is_err() {
                    self.untouch(&action);
                }
                self.metrics.action(&action, &outcome);
                self.note_outcome(&pod, &action, &cause, &outcome);
                self.states.entry(pod).or_default().finish(
                    &action,
                    desired_pod.as_deref(),
                    outcome,
                    now,
                    super::act::dispatch::chance(now),
                );
                true
            }
            Report::Probed { pod, container, answer } => self.probed(&pod, &container, answer),
            Report::Noted(pod, note) => {
                self.note(&pod, note);
                true
            }
            Report::Reveal(pod, answer) => {
                // Who asked may have gone meanwhile.
                let _ = answer.send(self.reveal(&pod));
                false
            }
        }
    }

    fn probed(&mut self, pod: &PodId, container: &str, answer: Result<(), String>) -> bool {
        let Some(desired_pod) = self.desired.as_ref().and_then(|desired| desired.pods.get(pod)) else { return false };
        let Some(states) = self.states.get_mut(pod) else { return false };
        let Some(before) = states.health.take() else { return false };
        if before.container != container {
            states.health = Some(before);
            return false;
        }
        let after = before.clone().after(answer, &desired_pod.declared.adapter.spec.health, crate::clock::now());
        if after.ready && !before.ready {
            self.became_ready.insert(pod.clone(), event_text::ready(&before, &after));
        }
        let alerts = after.ready != before.ready || (!after.ready && after.last_failure != before.last_failure);
        states.health = Some(after);
        alerts
    }

    /// Whether a one-shot run is decided, and how.
    fn ending(&self, out_of_time: bool) -> Option<Ending> {
        if let Some(refused) = &self.refused {
            return Some(Ending::Failed(refused.problems.iter().map(ToString::to_string).collect()));
        }
        let mut waiting = Vec::new();
        let mut failed = Vec::new();
        // Said once for all of them.
        failed.extend(self.plan.held_removals.as_ref().map(|held| format!("{held}")));
        for (id, status) in &self.statuses {
            if matches!(self.plan.pods.get(id), Some(Decision::Hold(Hold::TooManyRemovals(_)))) {
                continue;
            }
            let sentence = format!("{id}: {}", status.message);
            let settled = matches!(self.plan.pods.get(id), Some(Decision::Settled));
            match status.phase {
                Phase::Running | Phase::Stopped if settled => {}
                Phase::Stopped if status.reason == Reason::Paused => {}
                Phase::Deleting
                    if !matches!(self.plan.pods.get(id), Some(Decision::Act(_) | Decision::Hold(Hold::Busy))) => {}
                // Said once, below, for all of them.
                Phase::Unknown if matches!(self.actual, Actual::Unknown(_)) => {}
                // One end is no verdict: it comes up again, or it is found to be a loop.
                Phase::Unhealthy if status.reason == Reason::Restarting => waiting.push(sentence),
                Phase::Unhealthy | Phase::CrashLoopBackOff | Phase::RolledBack | Phase::Held => failed.push(sentence),
                _ => waiting.push(sentence),
            }
        }
        let away = self.database.iter().cloned().chain(match &self.actual {
            Actual::Unknown(why) => Some(why.clone()),
            Actual::Observed(_) => None,
        });
        waiting.extend(away);
        let undecided = !waiting.is_empty() || self.desired.is_none() || self.sync_due;
        match (undecided, failed.is_empty(), out_of_time) {
            (false, true, _) => Some(Ending::Applied),
            (false, false, _) => Some(Ending::Failed(failed)),
            (true, _, true) => Some(Ending::Failed(
                failed.into_iter().chain(waiting.into_iter().map(|w| format!("out of time: {w}"))).collect(),
            )),
            (true, _, false) => None,
        }
    }
}
