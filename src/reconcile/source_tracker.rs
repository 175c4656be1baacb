//! The source, from round to round: when it is read next, which revision is in force, which was refused, and whether the
//! one in force is synced. [`Inputs`] reads it; this keeps the outcome.

use std::{collections::BTreeMap, sync::Arc};

use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Inputs, JUDGING_LIMIT, RefusedRevision, SourceView,
    observe::watchdog::Watchdog,
    report::{alerts::Alert, journal::Journal, metrics::Metrics},
};
use crate::{
    core::{
        decide::request::{EndedRequest, OpenRequest},
        declare::{
            adapter::Adapters,
            desired::{Desired, PodIdentity},
        },
        event::EventKind,
        names::PodId,
        problem::Problem,
        secret::{Fingerprints, SecretRef},
        site::Site,
    },
    source::Source,
    store::{Event, Store, StoreError},
};

/// How long a round waits for what was read to be judged.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The source.
pub(crate) struct SourceTracker {
    inputs: Inputs,
    refused: Option<RefusedRevision>,
    /// Why the source cannot be used, as last reported.
    unusable: Alert,
    /// The row of the revision in force.
    row: Option<i64>,
    /// When that row was accepted.
    accepted_at: Option<OffsetDateTime>,
    /// Whether everything matched it in the last round.
    is_synced: bool,
    is_healthy: bool,
    watchdog: Watchdog,
    /// Whether it has to be read in the next round.
    is_due: bool,
    /// When it was last read.
    read_at: Instant,
}

impl SourceTracker {
    pub(crate) fn new(inputs: Inputs) -> Self {
        Self {
            inputs,
            refused: None,
            unusable: Alert::default(),
            row: None,
            accepted_at: None,
            is_synced: false,
            is_healthy: false,
            watchdog: Watchdog::default(),
            is_due: true,
            read_at: crate::clock::runtime_instant(),
        }
    }

    /// Restores what the store has, at the start.
    pub(crate) async fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        if let Some(stored) = store.source_state().await?.filter(|stored| stored.origin == self.origin()) {
            self.watchdog.load(&stored);
        }
        self.unusable = Alert::of(store.source_refusal().await?.map(|refusal| refusal.message));
        Ok(())
    }

    /// Notes in a file what is judged, so that the next start knows what ended this process.
    pub(super) fn note_judging_in(&mut self, path: std::path::PathBuf) {
        self.inputs.note_in(path);
    }

    /// Whether what was last read is still judged.
    pub(super) fn is_judging(&self) -> bool {
        self.inputs.is_judging()
    }

    /// Overrides the interval in which the source should be read.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.watchdog.set_interval(interval);
    }

    /// Where manifests come from.
    pub(crate) fn source(&self) -> &Source {
        self.inputs.source()
    }

    /// Where manifests come from, for people.
    pub(crate) fn origin(&self) -> String {
        self.inputs.origin()
    }

    /// The site everything is built for.
    pub(crate) fn site(&self) -> &Site {
        self.inputs.site()
    }

    /// The adapters in force.
    pub(crate) fn adapters(&self) -> Option<&Adapters> {
        self.inputs.adapters().map(Arc::as_ref)
    }

    /// The hash of the revision in force; empty if there is none.
    pub(crate) fn revision(&self) -> &str {
        self.inputs.revision().unwrap_or_default()
    }

    /// The row of the revision in force.
    pub(crate) fn row(&self) -> Option<i64> {
        self.row
    }

    /// What is wrong with the newest revision, if it was refused.
    pub(crate) fn problems(&self) -> Option<&[Problem]> {
        self.refused.as_ref().map(|refused| refused.problems.as_slice())
    }

    /// Every secret that the revision in force refers to.
    pub(crate) fn secret_references(&self) -> std::collections::BTreeSet<SecretRef> {
        self.inputs.secret_references()
    }

    /// Has the source read in the next round.
    pub(crate) fn set_due(&mut self) {
        self.is_due = true;
    }

    /// Whether the source is read in the next round.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Whether it is read in the next round, and is not awaited: a source that is about to be read for the first time is
    /// given a moment.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_due && !self.source().is_awaited()
    }

    /// When it has to be read again at the latest.
    pub(crate) fn due_at(&self, tick: std::time::Duration) -> Instant {
        self.read_at + tick
    }

    /// Records that this round reads it.
    pub(crate) fn was_read(&mut self) {
        self.read_at = crate::clock::runtime_instant();
    }

    /// Reads the source, and accepts its revision or refuses it.
    pub async fn read(&mut self, store: &Store, journal: &mut Journal, now: OffsetDateTime) -> Result<(), StoreError> {
        self.take_revision(store, journal, now).await?;
        self.is_due = false;
        Ok(())
    }

    async fn take_revision(
        &mut self,
        store: &Store,
        journal: &mut Journal,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let revision = match self.inputs.read(PATIENCE).await {
            Ok(Some(revision)) => revision,
            // The round goes on with what is in force; another one follows when it is judged.
            Ok(None) => return Ok(()),
            Err(refused) => return self.refuse(refused, store, journal, now).await,
        };
        // Its row says all of this already.
        if self.refused.is_none() && self.row.is_some() && self.inputs.is_in_force(&revision) {
            return Ok(());
        }
        let recorded = store.accept(&revision.reading.fetched(), now).await?;
        self.report_usable(journal);
        if self.refused.take().is_some() {
            info!("the source no longer has problems");
        }
        // The same files may have another row, if another revision was refused in between.
        self.is_synced &= self.row == Some(recorded.id);
        (self.row, self.accepted_at) = (Some(recorded.id), Some(recorded.fetched_at));
        let origin = revision.reading.snapshot.origin.clone();
        if self.inputs.accept(revision) {
            self.is_synced = false;
            let commit = self.inputs.snapshot().and_then(|snapshot| snapshot.commit.as_ref());
            let commit = commit.map(|commit| commit.id.as_str());
            info!(revision = self.revision().get(..12), commit, "accepted a revision from {origin}");
        }
        Ok(())
    }

    /// Refuses a revision: the one in force stays in force, and is read from the store if there is none.
    pub(crate) async fn refuse(
        &mut self,
        refused: RefusedRevision,
        store: &Store,
        journal: &mut Journal,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let is_new = self.refused.as_ref() != Some(&refused);
        if is_new {
            if let Some(reading) = &refused.reading {
                store.reject(&reading.fetched(), &refused.problems, now).await?;
                self.report_usable(journal);
            } else {
                self.report_unusable(&refused, journal);
            }
            warn!(problems = refused.problems.len(), "the newest revision is refused: {}", refused.first());
        }
        self.refused = Some(refused);
        if self.inputs.revision().is_some() {
            return Ok(());
        }
        let Some(last) = store.last_accepted().await? else {
            if is_new {
                warn!("no revision is in force, so containers are left as they are; none was ever accepted");
            }
            return Ok(());
        };
        let (row, accepted_at, hash) = (last.id, last.accepted_at, last.hash.clone());
        match self.inputs.restore(last).await {
            Ok(()) => {
                (self.row, self.accepted_at) = (Some(row), Some(accepted_at));
                info!(revision = hash.get(..12), "continuing with the last accepted revision from the database");
            }
            Err(refused) if is_new => warn!(
                problems = refused.problems.len(),
                "no revision is in force, so containers are left as they are; the last accepted one cannot be used either: {}",
                refused.first()
            ),
            Err(_) => {}
        }
        Ok(())
    }

    /// Reads and builds the newest revision without storing anything, for a preview.
    pub(crate) async fn preview(&mut self) -> Result<(), RefusedRevision> {
        let none = RefusedRevision { reading: None, problems: Vec::new() };
        let revision = self.inputs.read(JUDGING_LIMIT).await?.ok_or(none)?;
        self.inputs.accept(revision);
        Ok(())
    }

    /// The desired state of the revision in force; `None` while there is none.
    pub(crate) fn desired(
        &mut self,
        identities: &BTreeMap<PodId, PodIdentity>,
        fingerprints: &Fingerprints,
    ) -> Result<Option<Arc<Desired>>, RefusedRevision> {
        self.inputs.desired(identities, fingerprints)
    }

    /// Records that the desired state changed: it is not synced yet.
    pub(crate) fn desired_changed(&mut self) {
        self.is_synced = false;
    }

    /// Stores and reports that the source became stale, or is read again. Writes only then.
    pub(crate) async fn watch(
        &mut self,
        store: &Store,
        journal: &mut Journal,
        began: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let health = self.inputs.health();
        let Some(state) = self.watchdog.change(&self.inputs.origin(), &health, began, now) else { return Ok(()) };
        store.set_source_state(&state, now).await?;
        self.watchdog.load(&state);
        let origin = &state.origin;
        let (kind, message) = if state.stale_since.is_some() {
            let since = match state.read_at {
                Some(at) => format!("for {} s", (now - at).whole_seconds()),
                None => "since AgentPod started".into(),
            };
            let message = format!("{origin} could not be read {since}; the last accepted revision stays in force");
            warn!(why = state.why, "{message}");
            (EventKind::SourceStale, message)
        } else {
            info!("{origin} can be read again");
            (EventKind::SourceFresh, format!("{origin} can be read again"))
        };
        journal.event(Event { cause: state.why, revision: self.row, ..Event::of_none(kind, message) });
        Ok(())
    }

    /// Records whether the declared pods are well.
    pub(crate) fn set_healthy(&mut self, is_healthy: bool) {
        self.is_healthy = is_healthy;
    }

    /// Records whether nothing is left to do for the revision in force; the first time is stored.
    pub(crate) async fn set_synced(
        &mut self,
        is_synced: bool,
        store: &Store,
        metrics: &Metrics,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if let (false, true, Some(row)) = (self.is_synced, is_synced, self.row) {
            let is_new = store.mark_synced(row, now).await?;
            if let Some(fetched) = self.accepted_at.filter(|_| is_new) {
                metrics.synced(now - fetched);
            }
        }
        self.is_synced = is_synced;
        Ok(())
    }

    /// The outcome of reading the source, for the requests that wait for it.
    pub(crate) fn answer(&self, open: &OpenRequest) -> EndedRequest {
        match &self.refused {
            Some(refused) => {
                let first = refused.problems.first().map(|problem| format!(": {}: {}", problem.file, problem.what));
                open.refused(format!("the newest revision is refused{}", first.unwrap_or_default()))
            }
            None => {
                let revision = self.revision().get(..12).unwrap_or("-");
                open.done(format!("the source was read; revision {revision} is in force"))
            }
        }
    }

    /// Reports, once, that the source's content cannot be used. A revision that can be read has a row of its own instead.
    fn report_unusable(&mut self, refused: &RefusedRevision, journal: &mut Journal) {
        let more = match refused.problems.len() {
            0 | 1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        let Some(Problem { file, what, hint, .. }) = refused.problems.first() else { return };
        let hint = hint.as_deref().unwrap_or("the last accepted revision stays in force");
        let message = format!("{file}: {what}{more}; {hint}");
        if self.unusable.begin(&message) {
            journal.event(Event { revision: self.row, ..Event::of_none(EventKind::SourceRefused, message) });
        }
    }

    /// Reports that it can be used again, as a revision in force or a refused one.
    fn report_usable(&mut self, journal: &mut Journal) {
        if self.unusable.end() {
            let message = format!("{} can be read again", self.origin());
            journal.event(Event::of_none(EventKind::SourceAccepted, message));
        }
    }

    /// What others may see.
    pub(crate) fn view(&self) -> SourceView {
        let refused = self.refused.as_ref().and_then(|refused| refused.reading.as_ref());
        let refused = refused.map(|reading| &reading.snapshot);
        let health = self.inputs.health();
        SourceView {
            origin: self.origin(),
            accepted: self.inputs.revision().map(str::to_owned),
            accepted_at: self.accepted_at,
            commit: self.inputs.snapshot().and_then(|snapshot| snapshot.commit.clone()),
            synced: self.is_synced,
            healthy: self.is_healthy,
            problems: self.problems().map(<[Problem]>::to_vec).unwrap_or_default(),
            refused: refused.map(|snapshot| snapshot.revision.clone()),
            refused_commit: refused.and_then(|snapshot| snapshot.commit.clone()),
            read_at: self.watchdog.read_at(&health),
            stale_since: self.watchdog.stale_since(),
            tried_at: health.last_tried,
            fetched: health.fetched,
            unread: health.last_error,
        }
    }
}
