//! What a round leaves for pages and API: what it decided about each pod, and that it was made, if it did something.
//! A round that finds everything as before leaves nothing.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use super::Reconciler;
use crate::{
    core::{
        names::PodId,
        plan::Decision,
        view::{ActionLine, PlanLine},
    },
    store::{Round, StoreError},
};

impl Reconciler {
    /// Writes down what was decided otherwise than before.
    pub(super) async fn show_plans(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.shown.is_none() {
            self.shown = Some(self.store.plans().await?);
        }
        let shown = self.shown.get_or_insert_default();
        let lines = self.plan.pods.iter().filter_map(|(id, decision)| Some((id.clone(), PlanLine::of(decision)?)));
        let news: Vec<(PodId, PlanLine)> = lines.filter(|(id, line)| shown.get(id) != Some(line)).collect();
        if !news.is_empty() {
            self.store.keep_plans(&news, now).await?;
            shown.extend(news);
        }
        Ok(())
    }

    /// Writes down that a round was made, if it did something.
    pub(super) async fn show_round(&self, began_at: OffsetDateTime, took: Duration) -> Result<(), StoreError> {
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
pub(super) type Shown = Option<BTreeMap<PodId, PlanLine>>;
