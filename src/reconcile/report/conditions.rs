//! Each round's conditions of every pod: evaluated by the core, stored where they differ, and reported when a container
//! is not hardened as declared. That leads to no step: replacing the container would interrupt the tenant.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{alerts::Alert, pod_event::PodEvent};
use crate::{
    core::{
        declare::desired::Desired,
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
    store::{Store, StoreError},
};

/// Every pod's conditions, and which of them are stored and reported.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    now: BTreeMap<PodId, Vec<Condition>>,
    /// `None` until the store was read.
    stored: Option<BTreeMap<PodId, Vec<Condition>>>,
    deviations: BTreeMap<PodId, Alert>,
}

impl Conditions {
    /// A pod's conditions.
    pub(crate) fn of(&self, pod: &PodId) -> Vec<Condition> {
        self.now.get(pod).cloned().unwrap_or_default()
    }

    /// Evaluates the conditions of these pods.
    pub(crate) fn evaluate<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a PodId>,
        desired: Option<&Desired>,
        actual: &Actual,
    ) {
        let evaluate = |id: &PodId| {
            let observed = match actual {
                Actual::Observed(observed) => observed.get(id).map_or(&[][..], Vec::as_slice),
                Actual::Unknown(why) => {
                    let unknown =
                        |kind| Condition::unknown(kind, format!("the container engine does not answer: {why}"));
                    return vec![unknown(ConditionKind::Hardened), unknown(ConditionKind::Routed)];
                }
            };
            let spec = desired.and_then(|desired| desired.pods.get(id)).map(|pod| &pod.container);
            let container = status::current_container(observed);
            vec![hardened(spec, container), routed(spec, container)]
        };
        self.now = pods.map(|id| (id.clone(), evaluate(id))).collect();
    }

    /// Reads what is stored, the first time: deviations from before a restart were reported then.
    pub(crate) async fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.stored.is_some() {
            return Ok(());
        }
        let stored = store.conditions().await?;
        let deviation = |all: &Vec<Condition>| all.iter().find(|one| is_deviation(one)).map(|one| one.message.clone());
        self.deviations =
            stored.iter().filter_map(|(id, all)| Some((id.clone(), Alert::of(Some(deviation(all)?))))).collect();
        self.stored = Some(stored);
        Ok(())
    }

    /// Stores what differs. `is_complete`: every pod was observed, so one without conditions is gone.
    pub(crate) async fn store(
        &mut self,
        is_complete: bool,
        store: &Store,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let current = &self.now;
        let stored = self.stored.get_or_insert_default();
        let new: Vec<(&PodId, &Condition)> = current
            .iter()
            .flat_map(|(id, all)| all.iter().map(move |one| (id, one)))
            .filter(|(id, one)| !stored.get(*id).is_some_and(|before| before.contains(one)))
            .collect();
        if !new.is_empty() {
            store.set_conditions(&new, now).await?;
        }
        let gone: Vec<PodId> = stored.keys().filter(|id| is_complete && !current.contains_key(*id)).cloned().collect();
        if !gone.is_empty() {
            store.delete_conditions(&gone).await?;
        }
        if !(new.is_empty() && gone.is_empty()) {
            stored.retain(|id, _| !gone.contains(id));
            stored.extend(current.clone());
        }
        Ok(())
    }

    /// The events that report deviations: each once, until it changes or ends. An unknown condition reports nothing.
    pub(crate) fn deviations(&mut self) -> Vec<(PodId, PodEvent)> {
        let mut events = Vec::new();
        let Self { now, deviations, .. } = self;
        deviations.retain(|id, _| now.contains_key(id));
        for (id, all) in now {
            let Some(hardened) = all.iter().find(|one| one.kind == ConditionKind::Hardened) else { continue };
            let alert = deviations.entry(id.clone()).or_default();
            if is_deviation(hardened) {
                if alert.begin(&hardened.message) {
                    events.push((id.clone(), PodEvent::new(EventKind::Deviates, hardened.message.clone())));
                }
            } else if hardened.is_true == Some(true) && alert.end() {
                events.push((id.clone(), PodEvent::new(EventKind::Hardened, format!("again: {}", hardened.message))));
            }
        }
        events
    }
}

fn is_deviation(condition: &Condition) -> bool {
    condition.kind == ConditionKind::Hardened && condition.is_true == Some(false)
}
