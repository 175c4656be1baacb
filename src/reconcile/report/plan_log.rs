//! What a round leaves for pages and API: what it decided about each pod, and that it was made, if it did something.
//! A round that finds everything as before leaves nothing.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::{
    core::{
        decide::plan::Decision,
        names::PodId,
        report::view::{ActionLine, PlanLine},
    },
    reconcile::Reconciler,
    store::{Round, StoreError},
};

impl Reconciler {
    /// Writes down what was decided otherwise than before.
    pub(crate) async fn show_plans(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.plan_log.is_none() {
            self.plan_log = Some(self.store.plans().await?);
        }
        let plan_log = self.plan_log.get_or_insert_default();
        let lines = self.plan.pods.iter().filter_map(|(id, decision)| Some((id.clone(), PlanLine::of(decision)?)));
        let news: Vec<(PodId, PlanLine)> = lines.filter(|(id, line)| plan_log.get(id) != Some(line)).collect();
        if !news.is_empty() {
            self.store.keep_plans(&news, now).await?;
            plan_log.extend(news);
        }
        Ok(())
    }

    /// Writes down that a round was made, if it did something.
    pub(crate) async fn show_round(&self, began_at: OffsetDateTime, took: Duration) -> Result<(), StoreError> {
        let actions: Vec<ActionLine> = self.plan.actions().map(|(id, action)| ActionLine::of(id, action)).collect();
        if actions.is_empty() {
            return Ok(());
        }
        let count = |wanted: fn(&Decision) -> bool| self.plan.pods.values().filter(|one| wanted(one)).count();
        let round = Round {
            began_at,
            took,
            trigger: self.trigger(),
            actions,
            held: count(|decision| matches!(decision, Decision::Hold(_))),
            settled: count(|decision| matches!(decision, Decision::Settled)),
        };
        self.store.keep_round(&round).await
    }
}

/// What was last written down about each pod; `None` until the store was asked.
pub(crate) type PlanLog = Option<BTreeMap<PodId, PlanLine>>;
