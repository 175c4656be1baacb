//! Everything a reconciler writes down, in order, and only what is different from what was written before. While the
//! database is away, events wait here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use time::OffsetDateTime;

use crate::{
    core::{
        names::PodId,
        plan::{PodCircumstances, Rejected, Uploaded},
        retry::Retry,
        status::{NOT_ASKED, Status},
    },
    store::{Event, Store, StoreError},
};

/// Events kept while the database is away; the oldest go first.
const MOST_WAITING: usize = 10_000;

/// The part of a pod's record that must outlive us.
type Lasting = (Option<Retry>, Option<Rejected>, Option<Uploaded>);

/// What was written, and what still has to be.
pub(super) struct Journal {
    store: Arc<Store>,
    lasting: BTreeMap<PodId, Lasting>,
    statuses: BTreeMap<PodId, Status>,
    waiting: VecDeque<(Event, OffsetDateTime)>,
}

impl Journal {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, lasting: BTreeMap::new(), statuses: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Takes over what the store had at the start.
    pub fn loaded(&mut self, remembered: &BTreeMap<PodId, PodCircumstances>) {
        self.lasting = remembered.iter().map(|(id, pod)| (id.clone(), lasting(pod))).collect();
    }

    /// Remembers an event; it is written with the next [`Journal::flush`].
    pub fn event(&mut self, event: Event) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((event, OffsetDateTime::now_utc()));
    }

    /// Writes the events that wait, and the records that changed.
    pub async fn flush(&mut self, remembered: &BTreeMap<PodId, PodCircumstances>) -> Result<(), StoreError> {
        while let Some((event, at)) = self.waiting.front() {
            self.store.record(event, *at).await?;
            self.waiting.pop_front();
        }
        for (id, pod) in remembered {
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
            if now != before {
                self.lasting.insert(id.clone(), now);
            }
        }
        Ok(())
    }

    /// Writes the statuses that changed.
    pub async fn statuses(&mut self, statuses: &BTreeMap<PodId, Status>, now: OffsetDateTime) -> Result<(), StoreError> {
        let news = |(id, status): &(&PodId, &Status)| status.reason != NOT_ASKED && self.statuses.get(*id) != Some(*status);
        for (id, status) in statuses.iter().filter(news).collect::<Vec<_>>() {
            self.store.write_status(id, status, now).await?;
            self.statuses.insert(id.clone(), status.clone());
        }
        self.statuses.retain(|id, _| statuses.contains_key(id));
        Ok(())
    }
}

fn lasting(pod: &PodCircumstances) -> Lasting {
    (pod.retry.clone(), pod.rejected.clone(), pod.uploaded.clone())
}
