//! Requests on their way through a round: read before the source, decided by the planner, and ended before the first
//! step. A crash in between leaves the request open, or its work done.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use tracing::info;

use super::Reconciler;
use crate::{
    core::{
        decide::{
            plan::Allowance,
            request::{EndedRequest, OpenRequest, RequestSpec},
        },
        names::PodId,
    },
    reconcile::message::Report,
    source::{Git, Source},
    store::{Store, StoreError},
};

/// The open requests.
#[derive(Default)]
pub(crate) struct Requests {
    /// Oldest first.
    open: Vec<OpenRequest>,
    /// Those that wait for a fetch of the source.
    fetching: BTreeSet<i64>,
}

impl Requests {
    /// Reads the open requests; returns the syncs among them that are new.
    async fn read(&mut self, store: &Store, now: OffsetDateTime) -> Result<BTreeSet<i64>, StoreError> {
        let requests = store.open_requests().await?;
        let is_new = |open: &&OpenRequest| !self.open.iter().any(|known| known.id == open.id);
        let new: Vec<i64> = requests.iter().filter(is_new).map(|open| open.id).collect();
        if !new.is_empty() {
            store.take_requests(&new, now).await?;
        }
        let syncs = requests.iter().filter(is_new).filter(|open| is_sync(open)).map(|open| open.id).collect();
        self.open = requests;
        Ok(syncs)
    }

    /// Reads the open requests without recording that they were picked up, for a preview.
    pub(crate) async fn peek(&mut self, store: &Store) -> Result<(), StoreError> {
        self.open = store.open_requests().await?;
        Ok(())
    }

    /// The open requests.
    pub(crate) fn open(&self) -> &[OpenRequest] {
        &self.open
    }

    /// The syncs that the next read of the source answers.
    fn due_syncs(&self) -> impl Iterator<Item = &OpenRequest> {
        self.open.iter().filter(|open| is_sync(open) && !self.fetching.contains(&open.id))
    }

    /// Records that the source was fetched for some requests.
    pub(crate) fn fetched(&mut self, requests: &BTreeSet<i64>) {
        self.fetching.retain(|request| !requests.contains(request));
    }
}

fn is_sync(open: &OpenRequest) -> bool {
    open.request.what == RequestSpec::Sync
}

impl Reconciler {
    /// Reads the open requests. A sync is answered by this round, or after a fetch beside the rounds.
    pub(super) async fn read_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        self.ledger.reload_allowances(&self.store).await?;
        let syncs = self.requests.read(&self.store, now).await?;
        if let (Source::Git(git), false) = (self.source.source(), syncs.is_empty()) {
            self.fetch_for(git.clone(), syncs);
        }
        if self.requests.due_syncs().next().is_some() {
            self.source.set_due();
        }
        Ok(())
    }

    /// Fetches a remote source beside the rounds; the next round after it answers the requests.
    fn fetch_for(&mut self, git: Git, syncs: BTreeSet<i64>) {
        self.requests.fetching.extend(&syncs);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            git.fetch().await;
            let _ = reports.send(Report::Synced(syncs));
        });
    }

    /// The source was read: answers the requests for that.
    pub(super) async fn answer_syncs(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let ended: Vec<EndedRequest> = self.requests.due_syncs().map(|open| self.source.answer(open)).collect();
        self.end_requests(&ended, &BTreeMap::new(), now).await
    }

    /// Stores which requests the plan ends, and the removals it allows: both, or neither.
    pub(super) async fn settle_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let (ended, allowed) = (self.plan.ended.clone(), self.plan.allowed.clone());
        self.end_requests(&ended, &allowed, now).await?;
        self.ledger.allow(allowed);
        Ok(())
    }

    async fn end_requests(
        &mut self,
        ended: &[EndedRequest],
        allowed: &BTreeMap<PodId, Allowance>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if ended.is_empty() {
            return Ok(());
        }
        // If the database's answer is lost, it is unknown whether this is stored.
        self.ledger.set_allowances_unsure(true);
        self.store.end_requests(ended, allowed, now).await?;
        self.ledger.set_allowances_unsure(false);
        for one in ended {
            let (actor, what) = (&one.request.actor, &one.request.what);
            info!(request = one.id, done = one.done, "{actor} requested: {what}: {}", one.outcome);
        }
        self.requests.open.retain(|open| !ended.iter().any(|one| one.id == open.id));
        Ok(())
    }
}
