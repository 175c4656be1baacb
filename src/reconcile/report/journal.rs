//! Everything a reconciler stores, in order, and only what differs from what was stored before. While the database is
//! unreachable, events wait here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use time::{Duration, OffsetDateTime};

use crate::{
    core::{
        decide::{
            plan::{Allowance, PodState, Rejected, Uploaded},
            retry::Retry,
        },
        names::PodId,
        report::{phase::Phase, reason::Reason, status::Status},
    },
    reconcile::report::metrics::Metrics,
    store::{Event, Store, StoreError},
};

/// How many events are kept while the database is unreachable; the oldest are dropped.
const MAX_QUEUED: usize = 10_000;

/// How long events are kept.
pub(crate) const EVENTS_KEPT: Duration = Duration::days(30);

/// The part of a pod's state that must outlive the process.
#[derive(Debug, Clone, Default, PartialEq)]
struct DurableState {
    retry: Option<Retry>,
    rejected: Option<Rejected>,
    uploaded: Option<Uploaded>,
    removal_allowed: Option<Allowance>,
    volume_since: Option<OffsetDateTime>,
}

impl DurableState {
    fn of(pod: &PodState) -> Self {
        Self {
            retry: pod.retry.clone(),
            rejected: pod.rejected.clone(),
            uploaded: pod.uploaded.clone(),
            removal_allowed: pod.removal_allowed.clone(),
            volume_since: pod.volume_since,
        }
    }
}

/// What was stored, and what still has to be.
pub(crate) struct Journal {
    store: Arc<Store>,
    metrics: Metrics,
    written: BTreeMap<PodId, DurableState>,
    statuses: BTreeMap<PodId, Status>,
    waiting: VecDeque<(Event, OffsetDateTime)>,
    restarts: BTreeMap<PodId, u32>,
    pruned: Option<OffsetDateTime>,
}

impl Journal {
    pub(crate) fn new(store: Arc<Store>, metrics: Metrics) -> Self {
        Self {
            store,
            metrics,
            written: BTreeMap::new(),
            statuses: BTreeMap::new(),
            waiting: VecDeque::new(),
            restarts: BTreeMap::new(),
            pruned: None,
        }
    }

    /// Takes over what the store has at the start: states, and pods that were being removed when AgentPod stopped.
    pub(crate) fn loaded(&mut self, states: &BTreeMap<PodId, PodState>, being_removed: Vec<PodId>) {
        self.statuses.extend(being_removed.into_iter().map(|id| (id, removed())));
        self.written = states.iter().map(|(id, pod)| (id.clone(), DurableState::of(pod))).collect();
    }

    /// Queues an event; it is written with the next [`Journal::flush`].
    pub(crate) fn event(&mut self, event: Event) {
        if self.waiting.len() >= MAX_QUEUED {
            self.waiting.pop_front();
        }
        self.metrics.event(event.kind);
        self.waiting.push_back((event, crate::clock::now()));
    }

    /// Writes the queued events, and the states that changed.
    pub(crate) async fn flush(&mut self, states: &BTreeMap<PodId, PodState>) -> Result<(), StoreError> {
        while let Some((event, at)) = self.waiting.front() {
            self.store.record(event, *at).await?;
            self.waiting.pop_front();
        }
        for (id, pod) in states {
            let now = DurableState::of(pod);
            let before = self.written.get(id).cloned().unwrap_or_default();
            if now.retry != before.retry {
                self.store.set_retry(id, now.retry.as_ref()).await?;
            }
            if now.rejected != before.rejected {
                self.store.set_rejected(id, now.rejected.as_ref()).await?;
            }
            if now.uploaded != before.uploaded {
                self.store.set_uploaded(id, now.uploaded.as_ref()).await?;
            }
            if now.removal_allowed != before.removal_allowed {
                self.store.set_removal_allowed(id, now.removal_allowed.as_ref()).await?;
            }
            if now.volume_since != before.volume_since {
                self.store.set_volume_since(id, now.volume_since).await?;
            }
            if now != before {
                self.written.insert(id.clone(), now);
            }
        }
        Ok(())
    }

    /// Writes the restart counts that changed.
    pub(crate) async fn restarts(
        &mut self,
        restarts: BTreeMap<PodId, u32>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        for (id, count) in restarts {
            if self.restarts.get(&id).copied().unwrap_or_default() != count {
                self.store.set_restarts(&id, count, now).await?;
                self.restarts.insert(id, count);
            }
        }
        Ok(())
    }

    /// Deletes expired events, at most once an hour.
    pub(crate) async fn prune(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.pruned.is_none_or(|last| now - last > Duration::hours(1)) {
            self.store.prune(now - EVENTS_KEPT).await?;
            self.pruned = Some(now);
        }
        Ok(())
    }

    /// Writes the statuses that changed.
    /// `whole`: every pod was observed, so one without a status is gone.
    pub(crate) async fn statuses(
        &mut self,
        statuses: &BTreeMap<PodId, Status>,
        whole: bool,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let news = |(id, status): &(&PodId, &Status)| {
            status.reason != Reason::NotAskedYet && self.statuses.get(*id) != Some(*status)
        };
        for (id, status) in statuses.iter().filter(news).collect::<Vec<_>>() {
            self.store.write_status(id, status, now).await?;
            self.statuses.insert(id.clone(), status.clone());
        }
        let gone: Vec<PodId> =
            self.statuses.keys().filter(|id| whole && !statuses.contains_key(*id)).cloned().collect();
        for id in gone {
            self.store.write_status(&id, &removed(), now).await?;
            self.statuses.remove(&id);
        }
        Ok(())
    }
}

/// The last status of a pod that only has its data left.
fn removed() -> Status {
    Status {
        phase: Phase::Deleting,
        ready: false,
        reason: Reason::Removed,
        message: "it was removed; its data is kept".into(),
        container: None,
        container_id: None,
        node: None,
    }
}
