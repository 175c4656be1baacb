//! Everything a reconciler writes down, in order, and only what is different from what was written before. While the
//! database is away, events wait here.

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
    store::{DesiredStatus, Event, PodRow, Store, StoreError},
};

/// Events kept while the database is away; the oldest go first.
const MOST_WAITING: usize = 10_000;

/// How long events are kept.
pub const EVENTS_KEPT: Duration = Duration::days(30);

/// The part of a pod's record that must outlive us.
type Lasting = (Option<Retry>, Option<Rejected>, Option<Uploaded>, Option<Allowance>);

/// What was written, and what still has to be.
pub(crate) struct Journal {
    store: Arc<Store>,
    metrics: Metrics,
    lasting: BTreeMap<PodId, Lasting>,
    statuses: BTreeMap<PodId, Status>,
    waiting: VecDeque<(Event, OffsetDateTime)>,
    restarts: BTreeMap<PodId, u32>,
    pruned: Option<OffsetDateTime>,
}

impl Journal {
    pub fn new(store: Arc<Store>, metrics: Metrics) -> Self {
        Self {
            store,
            metrics,
            lasting: BTreeMap::new(),
            statuses: BTreeMap::new(),
            waiting: VecDeque::new(),
            restarts: BTreeMap::new(),
            pruned: None,
        }
    }

    /// Takes over what the store had at the start: records, and pods that were going when we were stopped.
    pub fn loaded(&mut self, states: &BTreeMap<PodId, PodState>, rows: &[PodRow]) {
        let going = rows.iter().filter(|row| row.desired_status == DesiredStatus::Deleted && !row.is_gone());
        self.statuses.extend(going.map(|row| (row.id.clone(), farewell())));
        self.lasting = states.iter().map(|(id, pod)| (id.clone(), lasting(pod))).collect();
    }

    /// Remembers an event; it is written with the next [`Journal::flush`].
    pub fn event(&mut self, event: Event) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        self.metrics.event(event.kind);
        self.waiting.push_back((event, crate::clock::now()));
    }

    /// Writes the events that wait, and the records that changed.
    pub async fn flush(&mut self, states: &BTreeMap<PodId, PodState>) -> Result<(), StoreError> {
        while let Some((event, at)) = self.waiting.front() {
            self.store.record(event, *at).await?;
            self.waiting.pop_front();
        }
        for (id, pod) in states {
            let now = lasting(pod);
            let before = self.lasting.get(id).cloned().unwrap_or_default();
            if now.0 != before.0 {
                self.store.set_retry(id, now.0.as_ref()).await?;
            }
            if now.1 != before.1 {
                self.store.set_rejected(id, now.1.as_ref()).await?;
            }
            if now.2 != before.2 {
                self.store.set_uploaded(id, now.2.as_ref()).await?;
            }
            if now.3 != before.3 {
                self.store.set_removal_allowed(id, now.3.as_ref()).await?;
            }
            if now != before {
                self.lasting.insert(id.clone(), now);
            }
        }
        Ok(())
    }

    /// Writes how often containers were restarted, where that changed.
    pub async fn restarts(&mut self, restarts: BTreeMap<PodId, u32>, now: OffsetDateTime) -> Result<(), StoreError> {
        for (id, count) in restarts {
            if self.restarts.get(&id).copied().unwrap_or_default() != count {
                self.store.set_restarts(&id, count, now).await?;
                self.restarts.insert(id, count);
            }
        }
        Ok(())
    }

    /// Forgets events past their time; looks only once an hour.
    pub async fn prune(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.pruned.is_none_or(|last| now - last > Duration::hours(1)) {
            self.store.prune(now - EVENTS_KEPT).await?;
            self.pruned = Some(now);
        }
        Ok(())
    }

    /// Writes the statuses that changed.
    /// `whole`: every pod there is was looked at, so one without a status is gone.
    pub async fn statuses(
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
            self.store.write_status(&id, &farewell(), now).await?;
            self.statuses.remove(&id);
        }
        Ok(())
    }
}

/// The last status of a pod of which nothing is left but its data.
fn farewell() -> Status {
    Status {
        phase: Phase::Deleting,
        ready: false,
        reason: Reason::Removed,
        message: "it was removed; its data is kept".into(),
        container: None,
    }
}

fn lasting(pod: &PodState) -> Lasting {
    (pod.retry.clone(), pod.rejected.clone(), pod.uploaded.clone(), pod.removal_allowed.clone())
}
