//! What people asked for, on its way through a round: read before the source is, decided by the planner, and ended before
//! the first step is taken. Whoever dies in between finds the row still open, or the deed done.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use tracing::info;

use super::Reconciler;
use crate::{
    core::{
        names::PodId,
        plan::Allowance,
        request::{Ended, Open, What},
    },
    store::StoreError,
};

impl Reconciler {
    /// Reads what is open. A wish for a look at the source is one for this round.
    pub(super) async fn take_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.unsure {
            for (id, stored) in self.store.circumstances().await? {
                self.remembered.entry(id).or_default().removal_allowed = stored.removal_allowed;
            }
            self.unsure = false;
        }
        let requests = self.store.open_requests().await?;
        let is_new = |open: &&Open| !self.requests.iter().any(|known| known.id == open.id);
        let news: Vec<i64> = requests.iter().filter(is_new).map(|open| open.id).collect();
        if !news.is_empty() {
            self.store.take_requests(&news, now).await?;
        }
        self.source_due |= requests.iter().any(|open| open.request.what == What::Sync);
        self.requests = requests;
        Ok(())
    }

    /// The source was read: whoever asked for that is told what came of it.
    pub(super) async fn answer_syncs(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let outcome = match (&self.refused, self.inputs.revision()) {
            (Some(refused), _) => format!("it was read, and is refused with {} problems", refused.problems.len()),
            (None, revision) => {
                format!("it was read; revision {} is in force", revision.and_then(|hash| hash.get(..12)).unwrap_or("-"))
            }
        };
        let syncs = self.requests.iter().filter(|open| open.request.what == What::Sync);
        let ended: Vec<Ended> = syncs.map(|open| open.done(outcome.as_str())).collect();
        self.end_requests(&ended, &BTreeMap::new(), now).await
    }

    /// Writes down what the plan says is over, and the removals it lets go: both, or neither.
    pub(super) async fn settle_requests(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let (ended, allowed) = (self.plan.ended.clone(), self.plan.allowed.clone());
        self.end_requests(&ended, &allowed, now).await?;
        for (id, allowance) in allowed {
            self.remembered.entry(id).or_default().removal_allowed = Some(allowance);
        }
        Ok(())
    }

    async fn end_requests(
        &mut self,
        ended: &[Ended],
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
