//! Each round's conditions of every pod: judged by the core, written down where they differ, and told in the history when a
//! container is not as closed as it should be. That leads to no step: a replacement would interrupt the tenant.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    core::{
        event::EventKind,
        names::PodId,
        observe::{
            actual::Actual,
            condition::{Condition, ConditionKind},
            hardening::hardened,
            routing::routed,
        },
        report::status,
    },
    reconcile::{Reconciler, report::pod_event::PodEvent},
    store::StoreError,
};

/// What is known of every pod, and what of it was written and told.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub now: BTreeMap<PodId, Vec<Condition>>,
    /// `None` until the store was asked.
    written: Option<BTreeMap<PodId, Vec<Condition>>>,
    /// What was last told of pods that deviate.
    alerts: BTreeMap<PodId, String>,
}

impl Reconciler {
    /// Judges every pod that has a status.
    pub(crate) fn judge_conditions(&mut self) {
        let one = |id: &PodId| {
            let seen = match &self.actual {
                Actual::Observed(seen) => seen.get(id).map_or(&[][..], Vec::as_slice),
                Actual::Unknown(why) => {
                    let unknown = |kind| Condition::unknown(kind, format!("the engine could not be asked: {why}"));
                    return vec![unknown(ConditionKind::Hardened), unknown(ConditionKind::Routed)];
                }
            };
            let desired_pod = self
                .desired
                .as_ref()
                .and_then(|desired| desired.pods.get(id))
                .map(|desired_pod| &desired_pod.container);
            let container = status::standing(seen);
            vec![hardened(desired_pod, container), routed(desired_pod, container)]
        };
        self.conditions.now = self.statuses.keys().map(|id| (id.clone(), one(id))).collect();
    }

    /// Writes down what is otherwise than before, and tells of deviations. `whole`: every pod there is was looked at.
    pub(crate) async fn keep_conditions(&mut self, whole: bool, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.conditions.written.is_none() {
            let written = self.store.conditions().await?;
            let deviates =
                |all: &Vec<Condition>| all.iter().find(|one| is_deviation(one)).map(|one| one.message.clone());
            self.conditions.alerts =
                written.iter().filter_map(|(id, all)| Some((id.clone(), deviates(all)?))).collect();
            self.conditions.written = Some(written);
        }
        self.tell_deviations();
        let Conditions { now: current, written, .. } = &mut self.conditions;
        let written = written.get_or_insert_default();
        let news: Vec<(&PodId, &Condition)> = current
            .iter()
            .flat_map(|(id, all)| all.iter().map(move |one| (id, one)))
            .filter(|(id, one)| !written.get(*id).is_some_and(|before| before.contains(one)))
            .collect();
        if !news.is_empty() {
            self.store.keep_conditions(&news, now).await?;
        }
        let gone: Vec<PodId> = written.keys().filter(|id| whole && !current.contains_key(*id)).cloned().collect();
        if !gone.is_empty() {
            self.store.forget_conditions(&gone).await?;
        }
        if !(news.is_empty() && gone.is_empty()) {
            written.retain(|id, _| !gone.contains(id));
            written.extend(current.clone());
        }
        Ok(())
    }

    /// Tells a deviation once, until it is another one or gone. Not knowing tells nothing.
    fn tell_deviations(&mut self) {
        let mut notes = Vec::new();
        let Conditions { now, alerts, .. } = &mut self.conditions;
        alerts.retain(|id, _| now.contains_key(id));
        for (id, all) in now {
            let Some(hardened) = all.iter().find(|one| one.kind == ConditionKind::Hardened) else { continue };
            if is_deviation(hardened) {
                if alerts.get(id) != Some(&hardened.message) {
                    alerts.insert(id.clone(), hardened.message.clone());
                    notes.push((id.clone(), PodEvent::new(EventKind::Deviates, hardened.message.clone())));
                }
            } else if hardened.is_true == Some(true) && alerts.remove(id).is_some() {
                notes.push((id.clone(), PodEvent::new(EventKind::Hardened, format!("again: {}", hardened.message))));
            }
        }
        for (id, note) in notes {
            self.note(&id, note);
        }
    }
}

fn is_deviation(condition: &Condition) -> bool {
    condition.kind == ConditionKind::Hardened && condition.is_true == Some(false)
}
