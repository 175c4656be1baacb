//! The ledger: the state of each pod from round to round. Rounds decide with it; steps and probes are recorded in it; the
//! journal stores the part that must outlive the process.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use crate::{
    core::{
        decide::{
            plan::{
                self, Action, ActionFailure, Allowance, Cause, FleetState, InfraState, MaxUnavailable, Plan, PodState,
                Presence, RemovalLimit,
            },
            probes::ProbeTarget,
            request::OpenRequest,
            retry::FailureKind,
        },
        declare::{
            adapter::Probe,
            desired::{Desired, DesiredPod, PodIdentity},
            infra::InfraId,
        },
        names::PodId,
        observe::{
            actual::Actual,
            crash::CrashWatch,
            health::{Health, ProbeFailure},
        },
        report::status::current_container,
    },
    store::{IdentitiesStamp, Store, StoreError, SyncOutcome},
};

/// The state of each pod.
#[derive(Default)]
pub(crate) struct Ledger {
    states: BTreeMap<PodId, PodState>,
    /// Volumes and token versions of every pod that was ever declared.
    identities: BTreeMap<PodId, PodIdentity>,
    stamp: Option<IdentitiesStamp>,
    /// Whether the last write of allowances may have failed after it was committed.
    is_unsure: bool,
    crashes: BTreeMap<PodId, CrashWatch>,
    /// The state of items that belong to no pod.
    infra: BTreeMap<InfraId, InfraState>,
    /// Pods whose row has the revision that they match.
    applied: BTreeSet<PodId>,
}

/// What a plan depends on besides the pods.
pub(crate) struct PlanInputs<'a> {
    pub(crate) now: OffsetDateTime,
    pub(crate) removal_grace: Duration,
    pub(crate) removal_settle: Duration,
    pub(crate) removals: RemovalLimit,
    pub(crate) max_unavailable: MaxUnavailable,
    /// The revision in force.
    pub(crate) revision: &'a str,
    /// Open requests.
    pub(crate) requests: &'a [OpenRequest],
}

/// What a probe's answer changed.
pub(crate) struct HealthChange {
    pub(crate) before: Health,
    pub(crate) after: Health,
}

impl HealthChange {
    /// Whether the pod's status may have changed.
    pub(crate) fn is_news(&self) -> bool {
        let Self { before, after } = self;
        after.is_ready() != before.is_ready() || (!after.is_ready() && after.last_failure != before.last_failure)
    }
}

impl Ledger {
    /// Reads the stored states, at the start.
    pub(crate) async fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.states = store.pod_states().await?;
        Ok(())
    }

    /// Reads volumes and token versions again if any changed: a token may have been rotated.
    pub(crate) async fn refresh_identities(&mut self, store: &Store) -> Result<(), StoreError> {
        let stamp = store.identities_stamp().await?;
        if self.stamp != Some(stamp) {
            self.identities = store.identities().await?;
            self.stamp = Some(stamp);
        }
        Ok(())
    }

    /// Records what a sync of the declarations changed.
    pub(crate) async fn synced(&mut self, outcome: &SyncOutcome, store: &Store) -> Result<(), StoreError> {
        for id in [&outcome.created, &outcome.changed, &outcome.returned].into_iter().flatten() {
            self.applied.remove(id);
        }
        // One of this name may have been purged: a new pod has no data.
        for id in &outcome.created {
            self.state(id).volume_since = None;
        }
        if outcome.created.is_empty() && outcome.undeclared.is_empty() && outcome.returned.is_empty() {
            return Ok(());
        }
        self.identities = store.identities().await?;
        for (id, stored) in store.pod_states().await? {
            let pod = self.state(&id);
            pod.undeclared_since = stored.undeclared_since;
            (pod.removal_allowed, pod.subdomain) = (stored.removal_allowed, stored.subdomain);
        }
        Ok(())
    }

    /// Volumes and token versions.
    pub(crate) fn identities(&self) -> &BTreeMap<PodId, PodIdentity> {
        &self.identities
    }

    /// Every pod's state.
    pub(crate) fn states(&self) -> &BTreeMap<PodId, PodState> {
        &self.states
    }

    /// The pods that steps are running for.
    pub(crate) fn busy(&self) -> impl Iterator<Item = &PodId> {
        self.states.iter().filter(|(_, pod)| pod.busy).map(|(id, _)| id)
    }

    /// Whether steps are running for a pod.
    pub(crate) fn is_busy(&self, id: &PodId) -> bool {
        self.states.get(id).is_some_and(|pod| pod.busy)
    }

    /// When a pod's health probe last succeeded.
    pub(crate) fn last_success(&self, id: &PodId) -> Option<OffsetDateTime> {
        self.states.get(id)?.health.as_ref()?.last_success
    }

    /// Has a pod whose last step failed tried again now. Returns whether it was waiting.
    pub(crate) fn try_at_once(&mut self, id: &PodId, now: OffsetDateTime) -> bool {
        let retry = self.states.get_mut(id).and_then(|pod| pod.retry.as_mut());
        let waiting = retry.filter(|retry| retry.kind != FailureKind::Crash && retry.at > now);
        waiting.map(|retry| retry.at = now).is_some()
    }

    fn state(&mut self, id: &PodId) -> &mut PodState {
        self.states.entry(id.clone()).or_default()
    }

    /// Counts the restarts of each pod's container.
    pub(crate) fn count_restarts(&mut self, actual: &Actual, now: OffsetDateTime) {
        let Actual::Observed(observed) = actual else { return };
        for (id, containers) in observed {
            let Some(container) = current_container(containers) else { continue };
            let new = || CrashWatch::new(&container.name, container.restarts);
            let crash = self.crashes.entry(id.clone()).or_insert_with(new);
            if crash.container() == container.name {
                crash.record(container.restarts, now);
            } else {
                *crash = new();
            }
            let looping = crash.is_looping().then(|| container.name.clone());
            self.state(id).looping = looping;
        }
    }

    /// Updates every pod's state, and decides.
    pub fn plan(&mut self, desired: &Desired, actual: &Actual, inputs: &PlanInputs<'_>) -> Plan {
        let mut fleet = FleetState {
            now: inputs.now,
            removal_grace: inputs.removal_grace,
            removal_settle: inputs.removal_settle,
            removals: inputs.removals,
            max_unavailable: inputs.max_unavailable,
            revision: inputs.revision.to_owned(),
            requests: inputs.requests.to_vec(),
            pods: std::mem::take(&mut self.states),
            infra: self.infra.clone(),
        };
        fleet.refresh(desired, actual, |id| self.identities.contains_key(id));
        let plan = plan::plan(desired, actual, &fleet);
        self.states = fleet.pods;
        plan
    }

    /// The state of a pod whose status is evaluated.
    pub(crate) fn of(&mut self, id: &PodId) -> &PodState {
        self.state(id)
    }

    /// Records which run of which container is probed.
    pub(crate) fn probing(&mut self, target: &ProbeTarget<'_>, now: OffsetDateTime) {
        let pod = self.state(target.pod);
        pod.health = Some(Health::of_run(pod.health.take(), &target.container.name, target.since, now));
    }

    /// Records a probe's answer; `None` if it is about a container that is no longer probed.
    pub(crate) fn probed(
        &mut self,
        id: &PodId,
        container: &str,
        answer: Result<(), ProbeFailure>,
        probe: &Probe,
        now: OffsetDateTime,
    ) -> Option<HealthChange> {
        let pod = self.states.get_mut(id)?;
        let before = pod.health.clone().filter(|health| health.container == container)?;
        let after = before.clone().after(answer, probe, now);
        pod.health = Some(after.clone());
        Some(HealthChange { before, after })
    }

    /// Records that an action begins.
    pub(crate) fn begin(&mut self, id: &PodId, action: &Action, desired: Option<&DesiredPod>, now: OffsetDateTime) {
        self.state(id).begin(action, desired, now, jitter(now));
    }

    /// Records that an action did not begin after all: the next round decides again.
    pub(crate) fn cancel_action(&mut self, id: &PodId) {
        self.state(id).busy = false;
    }

    /// Records how an action ended.
    pub(crate) fn finish(
        &mut self,
        id: &PodId,
        action: &Action,
        desired: Option<&DesiredPod>,
        outcome: Result<(), ActionFailure>,
        now: OffsetDateTime,
    ) {
        let started = match (&outcome, &action.cause) {
            (Ok(()), Cause::Exited(_)) => action.started(),
            _ => None,
        };
        if let (Some(name), Some(crash)) = (started, self.crashes.get_mut(id))
            && crash.container() == name
        {
            let retry = self.states.get(id).and_then(|pod| pod.retry.as_ref());
            match retry.is_some_and(|retry| retry.kind == FailureKind::Crash) {
                true => crash.forgive(),
                false => crash.started_again(now),
            }
        }
        self.state(id).finish(action, desired, outcome, now, jitter(now));
    }

    /// Records whether an item that belongs to no pod exists.
    pub(crate) fn observed_infra(&mut self, item: InfraId, presence: Presence) {
        self.infra.entry(item).or_insert_with(InfraState::present).presence = presence;
    }

    /// Records whether a pod's volume exists.
    pub(crate) fn observed_volume(&mut self, id: &PodId, presence: Presence) {
        self.state(id).volume = presence;
    }

    /// Records that an item's action begins.
    pub(crate) fn begin_infra(&mut self, item: &InfraId) {
        if let Some(state) = self.infra.get_mut(item) {
            state.busy = true;
        }
    }

    /// Records how an item's action ended.
    pub(crate) fn finish_infra(&mut self, item: &InfraId, outcome: Result<(), &ActionFailure>, now: OffsetDateTime) {
        if let Some(state) = self.infra.get_mut(item) {
            state.finish(outcome, now, jitter(now));
        }
    }

    /// Records removals that are allowed from now on.
    pub(crate) fn allow(&mut self, allowed: BTreeMap<PodId, Allowance>) {
        for (id, allowance) in allowed {
            self.state(&id).removal_allowed = Some(allowance);
        }
    }

    /// Records whether the store is known to have the allowances. If it is not, they are read again before they are used.
    pub(crate) fn set_allowances_unsure(&mut self, is_unsure: bool) {
        self.is_unsure = is_unsure;
    }

    /// Reads the allowances again if it is unknown what the store has.
    pub(crate) async fn reload_allowances(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.is_unsure {
            for (id, stored) in store.pod_states().await? {
                self.state(&id).removal_allowed = stored.removal_allowed;
            }
            self.is_unsure = false;
        }
        Ok(())
    }

    /// Stores the revision of each pod that matches its declaration and whose row does not have that revision yet.
    pub(crate) async fn mark_applied(
        &mut self,
        applied: BTreeSet<PodId>,
        store: &Store,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let new: Vec<PodId> = applied.difference(&self.applied).cloned().collect();
        if !new.is_empty() {
            store.mark_pods_applied(&new, now).await?;
            self.applied.extend(new);
        }
        Ok(())
    }
}

/// A number between 0 and 1 that differs from pod to pod and from time to time.
pub(crate) fn jitter(now: OffsetDateTime) -> f64 {
    f64::from(now.nanosecond() / 1000 % 1000) / 1000.0
}
