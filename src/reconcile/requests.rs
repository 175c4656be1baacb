//! What people asked for, on its way through a round: read before the source is, decided by the planner, and ended before
//! the first step is taken. Whoever dies in between finds the row still open, or the deed done.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use tracing::info;

use super::{Reconciler, RefusedRevision};
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
    store::StoreError,
};

impl Reconciler {
    /// Reads what is open. A wish for a look at the source is one for this round, or for a fetch beside the rounds.
    pub(super) async fn take_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.unsure {
            for (id, stored) in self.store.pod_states().await? {
                self.states.entry(id).or_default().removal_allowed = stored.removal_allowed;
            }
            self.unsure = false;
        }
        let requests = self.store.open_requests().await?;
        let is_new = |open: &&OpenRequest| !self.requests.iter().any(|identities| identities.id == open.id);
        let news: Vec<i64> = requests.iter().filter(is_new).map(|open| open.id).collect();
        if !news.is_empty() {
            self.store.take_requests(&news, now).await?;
        }
        let is_sync = |open: &&OpenRequest| open.request.what == RequestSpec::Sync;
        let syncs: BTreeSet<i64> = requests.iter().filter(is_new).filter(is_sync).map(|open| open.id).collect();
        if let (Source::Git(git), false) = (self.inputs.source(), syncs.is_empty()) {
            self.fetch_for(git.clone(), syncs);
        }
        self.source_due |= requests.iter().filter(is_sync).any(|open| !self.fetching.contains(&open.id));
        self.requests = requests;
        Ok(())
    }

    /// What is far away is fetched beside the rounds; who asked is answered in the round after it.
    fn fetch_for(&mut self, git: Git, syncs: BTreeSet<i64>) {
        self.fetching.extend(&syncs);
        let reports = self.reports.clone();
        tokio::spawn(async move {
            git.fetch().await;
            let _ = reports.send(Report::Synced(syncs));
        });
    }

    /// The source was read: whoever asked for that is told what came of it.
    pub(super) async fn answer_syncs(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let answer = |open: &OpenRequest| match (&self.refused, self.inputs.revision()) {
            (Some(RefusedRevision { problems, .. }), _) => {
                let first = problems.first().map(|problem| format!(": {}: {}", problem.file, problem.what));
                open.refused(format!("the newest revision is refused{}", first.unwrap_or_default()))
            }
            (None, revision) => {
                let revision = revision.and_then(|hash| hash.get(..12)).unwrap_or("-");
                open.done(format!("it was read; revision {revision} is in force"))
            }
        };
        let is_due = |open: &&OpenRequest| open.request.what == RequestSpec::Sync && !self.fetching.contains(&open.id);
        let ended: Vec<EndedRequest> = self.requests.iter().filter(is_due).map(answer).collect();
        self.end_requests(&ended, &BTreeMap::new(), now).await
    }

    /// Writes down what the plan says is over, and the removals it lets go: both, or neither.
    pub(super) async fn settle_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let (ended, allowed) = (self.plan.ended.clone(), self.plan.allowed.clone());
        self.end_requests(&ended, &allowed, now).await?;
        for (id, allowance) in allowed {
            self.states.entry(id).or_default().removal_allowed = Some(allowance);
        }
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
        // An answer that is lost on the way leaves open whether it is written.
        self.unsure = true;
        self.store.end_requests(ended, allowed, now).await?;
        self.unsure = false;
        for one in ended {
            info!(
                request = one.id,
                done = one.done,
                "{} asked: {}: {}",
                one.request.actor,
                one.request.what,
                one.outcome
            );
        }
        self.requests.retain(|open| !ended.iter().any(|one| one.id == open.id));
        Ok(())
    }
}
