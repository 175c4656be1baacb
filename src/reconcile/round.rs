//! One round: source → desired → store → observe → plan → dispatch → status. The straight line of the whole program;
//! each part is a function below, in that order.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    PreviewError, Reconciler, RefusedRevision, ledger::PlanInputs, observe::probe::reach, report::plan_log::PlanLog,
};
use crate::{
    core::{
        decide::{
            plan::Plan,
            probes::{ProbeTarget, probe_targets},
            synced::{applied_pods, is_healthy, is_synced},
        },
        declare::desired::Desired,
        event::EventKind,
        names::PodId,
        observe::actual::Actual,
        report::status::{current_container, status},
    },
    store::StoreError,
};
use time::OffsetDateTime;

impl Reconciler {
    /// Makes one round. Only the database can prevent it; then nothing changes.
    pub(super) async fn round(&mut self) -> Result<(), StoreError> {
        let now = crate::clock::now();
        let began = crate::clock::runtime_instant();
        self.load().await?;
        self.read_requests(now).await?;
        if self.source.is_ready() {
            self.source.read(&self.store, &mut self.journal, now).await?;
            if !self.source.is_judging() {
                self.answer_syncs(now).await?;
            }
        }
        self.source.watch(&self.store, &mut self.journal, self.began, now).await?;
        self.build(now).await?;
        self.journal.flush(self.ledger.states()).await?;
        self.observe(now).await;
        self.read_secrets().await?;
        if let Some(desired) = self.desired.clone() {
            self.plan = self.decide(&desired, now);
            self.cancel_obsolete(&desired);
            self.report_held_removals();
            self.settle_requests(now).await?;
            self.published.plan_log.store(&self.plan, &self.store, now).await?;
            self.dispatch_infra();
            self.dispatch(&desired, now).await?;
        }
        self.tidy(now);
        self.report(now, began.elapsed()).await?;
        self.rounds += 1;
        self.publish();
        Ok(())
    }

    /// A round without effects: what `agentpod plan` shows. Nothing is stored.
    pub(crate) async fn preview(&mut self) -> Result<Plan, PreviewError> {
        let now = crate::clock::now();
        // What would happen in the end, and not while it settles.
        self.settings.removal_settle = time::Duration::ZERO;
        self.load().await?;
        self.source.preview().await?;
        let none = || RefusedRevision { reading: None, problems: Vec::new() };
        let desired = self.resolve()?.ok_or_else(none)?;
        self.desired = Some(desired.clone());
        self.observe(now).await;
        self.requests.peek(&self.store).await?;
        Ok(self.decide(&desired, now))
    }

    /// Reads, once, what the last process stored, and in each round what other processes may have changed.
    async fn load(&mut self) -> Result<(), StoreError> {
        self.store.check_lead()?;
        self.ledger.refresh_identities(&self.store).await?;
        if !self.is_loaded {
            self.ledger.load(&self.store).await?;
            self.last_seen.remember(self.store.last_containers().await?);
            self.journal.loaded(self.ledger.states(), self.store.pods_being_removed().await?);
            self.source.load(&self.store).await?;
            self.is_loaded = true;
        }
        Ok(())
    }

    /// Reads the secrets and builds the desired state.
    fn resolve(&mut self) -> Result<Option<Arc<Desired>>, RefusedRevision> {
        let fingerprints = self.secrets.read(self.source.secret_references(), &self.store);
        self.source.desired(self.ledger.identities(), &fingerprints)
    }

    async fn build(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let desired = match self.resolve() {
            Ok(Some(desired)) => desired,
            Ok(None) => return Ok(()),
            Err(refused) => return self.source.refuse(refused, &self.store, &mut self.journal, now).await,
        };
        let is_same = self.desired.as_ref().is_some_and(|before| Arc::ptr_eq(before, &desired));
        if !is_same || !self.is_stored {
            self.is_stored = false;
            let outcome = self.store.sync(&desired, now).await?;
            self.store.set_desired(&desired, now).await?;
            self.ledger.synced(&outcome, &self.store).await?;
            self.source.desired_changed();
            self.is_stored = true;
            self.desired = Some(desired);
            self.look_for_images();
        }
        Ok(())
    }

    async fn read_secrets(&mut self) -> Result<(), StoreError> {
        let is_busy = |pod: &PodId| self.ledger.is_busy(pod);
        self.secrets.learn(&self.actual, self.desired.as_deref(), is_busy, &self.store).await
    }

    fn decide(&mut self, desired: &Desired, now: OffsetDateTime) -> Plan {
        let inputs = PlanInputs {
            now,
            removal_grace: self.settings.removal_grace,
            removal_settle: self.settings.removal_settle,
            removals: self.settings.removals,
            max_unavailable: self.settings.max_unavailable,
            revision: self.source.revision(),
            requests: self.requests.open(),
        };
        self.ledger.plan(desired, &self.actual, &inputs)
    }

    /// Evaluates, stores and reports every pod's status.
    async fn report(&mut self, now: OffsetDateTime, took: std::time::Duration) -> Result<(), StoreError> {
        // `true`: every pod was observed.
        let is_complete = self.desired.is_some() && matches!(self.actual, Actual::Observed(_));
        self.update_statuses(now);
        let pods = self.published.statuses.all().keys();
        self.published.conditions.evaluate(pods, self.desired.as_deref(), &self.actual);
        self.published.conditions.load(&self.store).await?;
        for (id, event) in self.published.conditions.deviations() {
            self.report_event(&id, event);
        }
        self.published.conditions.store(is_complete, &self.store, now).await?;
        self.journal.flush(self.ledger.states()).await?;
        self.journal.statuses(self.published.statuses.all(), is_complete, now).await?;
        self.journal.restarts(self.restarts(), now).await?;
        self.journal.prune(now).await?;
        self.mark_synced(now).await?;
        if is_complete {
            PlanLog::store_round(&self.plan, self.trigger(), now, took, &self.store).await?;
        }
        Ok(())
    }

    /// Evaluates every pod's status, and keeps a probe on every container that has to be probed.
    fn update_statuses(&mut self, now: OffsetDateTime) {
        let none = Arc::new(Desired { tenants: BTreeMap::new(), pods: BTreeMap::new(), infra: Vec::new() });
        let desired = self.desired.clone().unwrap_or(none);
        let is_reached = |target: &ProbeTarget<'_>| reach(self.engine.as_ref(), target).is_some();
        let targets: Vec<_> = probe_targets(&desired, &self.actual).filter(is_reached).collect();
        for target in &targets {
            self.ledger.probing(target, now);
        }
        self.probers.probe(targets.into_iter(), self.source.site(), &self.engine, &self.reports);
        let mut statuses = BTreeMap::new();
        for (id, decision) in &self.plan.pods {
            let pod = desired.pods.get(id);
            let containers = match &self.actual {
                Actual::Observed(observed) => observed.get(id).map_or(&[][..], Vec::as_slice),
                Actual::Unknown(_) => &[],
            };
            if pod.is_none() && containers.is_empty() {
                continue;
            }
            let status = status(pod, containers, decision, self.ledger.of(id), now);
            let status = match self.work.pull(id) {
                Some((image, pull)) => status.pulling(image, pull.stalled),
                None => status,
            };
            statuses.insert(id.clone(), status);
        }
        for (id, event) in self.published.statuses.replace(statuses) {
            match event.kind {
                EventKind::Unhealthy => self.report_event_with_logs(&id, event),
                _ => self.report_event(&id, event),
            }
        }
    }

    fn restarts(&self) -> BTreeMap<PodId, u32> {
        let Actual::Observed(observed) = &self.actual else { return BTreeMap::new() };
        observed
            .iter()
            .filter_map(|(id, containers)| Some((id.clone(), current_container(containers)?.restarts)))
            .collect()
    }

    /// Stores which pods match their declaration, and whether nothing is left to do, each the first time it is so. A pod that a revision
    /// did not change belongs to the revision before, and is not written.
    async fn mark_synced(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let statuses = self.published.statuses.all();
        let Some(desired) = &self.desired else {
            return self.source.set_synced(false, &self.store, &self.metrics, now).await;
        };
        let is_synced = is_synced(desired, &self.plan);
        self.source.set_healthy(is_healthy(desired, statuses));
        self.ledger.mark_applied(applied_pods(desired, &self.plan, statuses), &self.store, now).await?;
        self.source.set_synced(is_synced, &self.store, &self.metrics, now).await
    }
}
