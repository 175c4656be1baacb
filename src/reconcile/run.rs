//! The loop: waits for whatever comes first — a report, a saved file, the next time something is due — and makes a
//! round. Everything that arrived meanwhile is one round.

use std::time::Duration;

use futures_util::StreamExt;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Reconciler,
    reconciler::Doing,
    record::{self, LOG_LINES},
    triggers::{self, Report},
};
use crate::{
    core::{
        names::PodId,
        plan::{Decision, Hold, Step},
        status::Phase,
    },
    engine::{EngineEvent, LogQuery},
    source::Watch,
    store::{Event, StoreError},
};

/// The longest time between two rounds; what a missed trigger costs at most.
const TICK: Duration = Duration::from_secs(30);
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
    /// Makes rounds until `stop` is cancelled or, in [`Mode::Once`], everything is decided.
    pub async fn run(mut self, mode: Mode, watch: Option<Watch>, stop: CancellationToken) -> Ending {
        let started = Instant::now();
        tokio::spawn(triggers::engine_events(self.engine.clone(), self.reports.clone(), stop.clone()));
        if let Some(watch) = watch {
            tokio::spawn(triggers::file_changes(watch, self.reports.clone(), stop.clone()));
        }
        loop {
            match self.round().await {
                Ok(()) => {
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
        let deadline = Instant::now() + SEE_THROUGH;
        while self.remembered.values().any(|pod| pod.busy) {
            match tokio::time::timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(report)) => {
                    self.take(report);
                }
                _ => break,
            }
        }
        if let Err(error) = self.journal.flush(&self.remembered).await {
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
        let due = Instant::now() + self.until_due();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                report = self.inbox.recv() => {
                    let Some(report) = report else { return false };
                    let mut round_due = self.take(report);
                    while let Ok(report) = self.inbox.try_recv() {
                        round_due |= self.take(report);
                    }
                    if round_due {
                        return true;
                    }
                }
                () = sleep_until(due) => {
                    self.source_due = true;
                    return true;
                }
            }
        }
    }

    /// How long until something is due by the clock alone.
    fn until_due(&self) -> Duration {
        if self.database.is_some() || matches!(self.actual, crate::core::actual::Actual::Unknown(_)) {
            return AWAY;
        }
        let now = OffsetDateTime::now_utc();
        let retries = self.plan.pods.values().filter_map(|decision| match decision {
            Decision::Hold(Hold::RetryAt(retry)) => Some(retry.at),
            Decision::Hold(Hold::RemovalGrace(until)) => Some(*until),
            _ => None,
        });
        let starts = self.remembered.iter().filter_map(|(id, pod)| {
            let health = pod.health.as_ref().filter(|health| !health.ready)?;
            let probe = &self.desired.as_ref()?.pods.get(id)?.declared.adapter.spec.health;
            Some(health.since + probe.startup.duration()).filter(|at| *at > now)
        });
        let going_back =
            self.remembered.values().filter_map(|pod| Some(pod.going_back.as_ref()?.at)).filter(|at| *at > now);
        let next = retries
            .chain(starts)
            .chain(going_back)
            .min()
            .map(|at| (at - now).max(time::Duration::milliseconds(50)).unsigned_abs());
        next.map_or(TICK, |next| next.min(TICK))
    }

    /// Takes a report in. Answers whether a round is due for it.
    fn take(&mut self, report: Report) -> bool {
        match report {
            Report::FilesChanged => {
                self.source_due = true;
                true
            }
            Report::LookAgain => true,
            Report::Engine(event) => {
                self.note_engine(event);
                true
            }
            Report::Step(pod, step) => {
                if let Step::Start(container) = &step {
                    self.touched.remove(container);
                }
                self.doing.insert(pod, Doing { step, pull: None });
                self.publish();
                false
            }
            Report::Pulling(pod, received, total) => {
                let pulling =
                    self.doing.get_mut(&pod).is_some_and(|doing| doing.pull.replace((received, total)).is_none());
                self.publish();
                pulling
            }
            Report::Finished { pod, action, wish, outcome } => {
                self.doing.remove(&pod);
                let now = OffsetDateTime::now_utc();
                match &outcome {
                    // What came with a verdict was told, with the last log lines, when it began.
                    Ok(()) if action.verdict.is_some() => {}
                    Ok(()) => self.note(&pod, record::kind(&action), action.cause.to_string(), Vec::new()),
                    Err(failure) => self.note(&pod, "failed", failure.why.clone(), Vec::new()),
                }
                self.remembered.entry(pod).or_default().finish(
                    &action,
                    wish.as_deref(),
                    outcome,
                    now,
                    super::orders::chance(now),
                );
                true
            }
            Report::Probed { pod, container, answer } => self.probed(&pod, &container, answer),
            Report::Logs { pod, kind, message, lines } => {
                self.note(&pod, &kind, message, lines);
                true
            }
        }
    }

    fn probed(&mut self, pod: &PodId, container: &str, answer: Result<(), String>) -> bool {
        let Some(wish) = self.desired.as_ref().and_then(|desired| desired.pods.get(pod)) else { return false };
        let Some(remembered) = self.remembered.get_mut(pod) else { return false };
        let Some(before) = remembered.health.take() else { return false };
        if before.container != container {
            remembered.health = Some(before);
            return false;
        }
        let after = before.clone().after(answer, &wish.declared.adapter.spec.health, OffsetDateTime::now_utc());
        let told = after.ready != before.ready || (!after.ready && after.last_failure != before.last_failure);
        remembered.health = Some(after);
        told
    }

    fn note_engine(&mut self, event: EngineEvent) {
        let Some(pod) = event.pod else { return };
        let ours = self.touched.contains_key(&event.container);
        match (event.action.as_str(), event.exit_code) {
            ("die", Some(code)) if !ours => {
                self.read_logs(&pod, "exited", &format!("{} ended with exit code {code}", event.container))
            }
            ("oom", _) => self.note(
                &pod,
                "out_of_memory",
                format!("{} took more memory than it may", event.container),
                Vec::new(),
            ),
            ("destroy", _) if !ours => {
                self.note(&pod, "vanished", format!("{} was removed by somebody else", event.container), Vec::new())
            }
            _ => {}
        }
    }

    /// Remembers an event of a pod.
    pub(super) fn note(&mut self, pod: &PodId, kind: &str, message: String, lines: Vec<String>) {
        match kind {
            "failed" => warn!(%pod, kind, "{pod}: {message}"),
            _ => info!(%pod, kind, "{pod}: {message}"),
        }
        self.journal.event(Event {
            pod: Some(pod.clone()),
            kind: kind.into(),
            message,
            revision: self.revision_row,
            container: self.statuses.get(pod).and_then(|status| status.container.clone()),
            cause: None,
            details: (!lines.is_empty()).then(|| serde_json::json!({"log": lines})),
        });
    }

    /// Reads a pod's last log lines in a task of its own and remembers them with an event, without its secrets.
    pub(super) fn read_logs(&mut self, pod: &PodId, kind: &str, message: &str) {
        let container = match &self.actual {
            crate::core::actual::Actual::Seen(seen) => seen
                .get(pod)
                .and_then(|seen| crate::core::status::standing(seen))
                .map(|container| container.name.clone()),
            crate::core::actual::Actual::Unknown(_) => None,
        };
        let Some(container) = container else { return self.note(pod, kind, message.into(), Vec::new()) };
        let secrets = self.secrets_of(pod);
        let (engine, store, reports) = (self.engine.clone(), self.store.clone(), self.reports.clone());
        let (pod, kind, message) = (pod.clone(), kind.to_owned(), message.to_owned());
        tokio::spawn(async move {
            let mut secrets = secrets;
            if let Ok(Some(token)) = store.token(&pod).await {
                secrets.insert("gateway token".into(), token);
            }
            let read = async {
                let query = LogQuery { tail: LOG_LINES, follow: false, timestamps: false };
                let lines = engine.logs(&container, query).await.ok()?;
                Some(
                    lines
                        .filter_map(async |line| line.ok())
                        .map(|line| record::redact(&line.text, &secrets))
                        .collect::<Vec<_>>()
                        .await,
                )
            };
            let lines = tokio::time::timeout(Duration::from_secs(5), read).await.ok().flatten().unwrap_or_default();
            let _ = reports.send(Report::Logs { pod, kind, message, lines });
        });
    }

    fn secrets_of(&self, pod: &PodId) -> std::collections::BTreeMap<String, secrecy::SecretString> {
        let Some(wish) = self.desired.as_ref().and_then(|desired| desired.pods.get(pod)) else {
            return Default::default();
        };
        let values =
            wish.declared.secrets.iter().filter_map(|(name, reference)| {
                Some((name.clone(), self.secrets.get(reference)?.as_ref().ok()?.clone()))
            });
        values.collect()
    }

    /// Whether a one-shot run is decided, and how.
    fn ending(&self, out_of_time: bool) -> Option<Ending> {
        if let Some(refused) = &self.refused {
            return Some(Ending::Failed(refused.problems.iter().map(ToString::to_string).collect()));
        }
        let mut waiting = Vec::new();
        let mut failed = Vec::new();
        for (id, status) in &self.statuses {
            let sentence = format!("{id}: {}", status.message);
            let settled = matches!(self.plan.pods.get(id), Some(Decision::Settled));
            match status.phase {
                Phase::Running | Phase::Stopped if settled => {}
                Phase::Deleting
                    if !matches!(self.plan.pods.get(id), Some(Decision::Act(_) | Decision::Hold(Hold::Busy))) => {}
                // One end is no verdict: it comes up again, or it is found to be a loop.
                Phase::Unhealthy if status.reason == "Restarting" => waiting.push(sentence),
                Phase::Unhealthy | Phase::CrashLoopBackOff | Phase::RolledBack | Phase::Held => failed.push(sentence),
                _ => waiting.push(sentence),
            }
        }
        let away = self.database.iter().cloned().chain(match &self.actual {
            crate::core::actual::Actual::Unknown(why) => Some(why.clone()),
            crate::core::actual::Actual::Seen(_) => None,
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
