//! The plan log, for pages and API: the last decision about each pod, and the rounds that did something. A round that
//! changes nothing stores nothing.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::{
    core::{
        decide::plan::{Decision, Plan},
        names::PodId,
        report::view::{ActionLine, PlanLine},
    },
    store::{Round, Store, StoreError},
};

/// The stored decision about each pod.
#[derive(Default)]
pub(crate) struct PlanLog {
    /// `None` until the store was read.
    stored: Option<BTreeMap<PodId, PlanLine>>,
}

impl PlanLog {
    /// Stores the decisions that differ from the stored ones.
    pub(crate) async fn store(&mut self, plan: &Plan, store: &Store, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.stored.is_none() {
            self.stored = Some(store.plans().await?);
        }
        let stored = self.stored.get_or_insert_default();
        let lines = plan.pods.iter().filter_map(|(id, decision)| Some((id.clone(), PlanLine::of(decision)?)));
        let new: Vec<(PodId, PlanLine)> = lines.filter(|(id, line)| stored.get(id) != Some(line)).collect();
        if !new.is_empty() {
            store.set_plans(&new, now).await?;
            stored.extend(new);
        }
        Ok(())
    }

    /// Stores a round, if it did something.
    pub(crate) async fn store_round(
        plan: &Plan,
        trigger: String,
        began_at: OffsetDateTime,
        took: Duration,
        store: &Store,
    ) -> Result<(), StoreError> {
        let infra = plan.infra_actions().map(|(id, action)| ActionLine::of_infra(id, action));
        let actions: Vec<ActionLine> =
            infra.chain(plan.actions().map(|(id, action)| ActionLine::of(id, action))).collect();
        if actions.is_empty() {
            return Ok(());
        }
        let count = |is_counted: fn(&Decision) -> bool| plan.pods.values().filter(|one| is_counted(one)).count();
        let round = Round {
            began_at,
            took,
            trigger,
            actions,
            held: count(|decision| matches!(decision, Decision::Hold(_))),
            settled: count(|decision| matches!(decision, Decision::Settled)),
        };
        store.add_round(&round).await
    }
}
