//! One round: source → desired → store → observe → plan → hand out → status. The straight line of the whole program;
//! each part is a function below, in that order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use time::OffsetDateTime;
use tracing::{info, warn};

use super::{Reconciler, RefusedRevision};
use crate::{
    core::{
        decide::{
            plan::{Decision, FleetState, Hold, Plan, plan},
            request::pause_of,
        },
        declare::desired::Desired,
        names::PodId,
        observe::{
            actual::{Actual, ObservedContainer},
            crash::CrashWatch,
        },
        report::status,
        secret::Fingerprints,
    },
    secrets,
    store::StoreError,
};

/// The first problem, with its place, for a line in the log.
fn first_of(refused: &RefusedRevision) -> String {
    refused.problems.first().map(ToString::to_string).unwrap_or_default()
}

impl Reconciler {
    /// Makes one round. Only the database can keep it from being made; then everything holds.
    pub(super) async fn round(&mut self) -> Result<(), StoreError> {
        let now = crate::clock::now();
        let began = crate::clock::runtime_instant();
        self.load().await?;
        self.take_requests(now).await?;
        // A source that is about to speak for the first time is given that moment; then what it says counts, or what is
        // remembered.
        if self.source_due && !self.inputs.source().is_awaited() {
            self.take_revision(now).await?;
            self.source_due = false;
            self.answer_syncs(now).await?;
        }
        self.watch_source(now).await?;
        self.build(now).await?;
        self.journal.flush(&self.states).await?;
        self.observe(now).await;
        self.learn_values().await?;
        if let Some(desired) = self.desired.clone() {
            self.decide(&desired, now);
            self.settle_requests(now).await?;
            self.show_plans(now).await?;
            self.dispatch(&desired, now).await?;
        }
        self.judge(now);
        self.judge_conditions();
        let whole = self.desired.is_some() && matches!(self.actual, Actual::Observed(_));
        self.keep_conditions(whole, now).await?;
        self.journal.flush(&self.states).await?;
        self.journal.statuses(&self.statuses, whole, now).await?;
        self.journal.restarts(self.restarts(), now).await?;
        self.journal.prune(now).await?;
        self.note_applied(now).await?;
        if whole {
            self.show_round(now, began.elapsed()).await?;
        }
        self.rounds += 1;
        self.publish();
        Ok(())
    }

    /// A round without its consequences: what `agentpod plan` shows. Nothing is written anywhere.
    pub async fn preview(&mut self) -> Result<Result<(Plan, Arc<Desired>), RefusedRevision>, StoreError> {
        let now = crate::clock::now();
        self.load().await?;
        let fresh = match self.inputs.read().await {
            Ok(fresh) => fresh,
            Err(refused) => return Ok(Err(refused)),
        };
        self.inputs.accept(fresh);
        let desired = match self.resolve() {
            Ok(Some(desired)) => desired,
            Ok(None) => return Ok(Err(RefusedRevision { reading: None, problems: Vec::new() })),
            Err(refused) => return Ok(Err(refused)),
        };
        self.observe(now).await;
        self.requests = self.store.open_requests().await?;
        self.tidy(&desired, now);
        let states = self.states(now);
        Ok(Ok((plan(&desired, &self.actual, &states), desired)))
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        // Somebody may have asked for a new token meanwhile.
        let stamp = self.store.identities_stamp().await?;
        if self.identities_stamp != Some(stamp) {
            self.identities = self.store.identities().await?;
            self.identities_stamp = Some(stamp);
        }
        if self.loaded {
            return Ok(());
        }
        self.states = self.store.pod_states().await?;
        self.journal.loaded(&self.states, self.store.pods_being_removed().await?);
        if let Some(kept) = self.store.source_state().await?.filter(|kept| kept.origin == self.inputs.origin()) {
            self.watchdog.loaded(&kept);
        }
        self.alerts.refused = self.store.source_refusal().await?.map(|refusal| refusal.message);
        self.loaded = true;
        Ok(())
    }

    async fn take_revision(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        match self.inputs.read().await {
            // The row says all of this already.
            Ok(fresh) if self.refused.is_none() && self.revision_row.is_some() && self.inputs.is_in_force(&fresh) => {}
            Ok(fresh) => {
                let judged = self.store.accept(&fresh.reading.fetched(), now).await?;
                self.tell_taken();
                if self.refused.take().is_some() {
                    info!("the source is in order again");
                }
                // The same files can be another row, when something else was refused in between.
                self.applied &= self.revision_row == Some(judged.id);
                (self.revision_row, self.accepted_at) = (Some(judged.id), Some(judged.fetched_at));
                let origin = fresh.reading.snapshot.origin.clone();
                if self.inputs.accept(fresh) {
                    self.applied = false;
                    let revision = self.inputs.revision().unwrap_or_default().get(..12);
                    let commit = self.inputs.snapshot().and_then(|snapshot| snapshot.commit.as_ref());
                    let commit = commit.map(|commit| commit.id.as_str());
                    info!(revision, commit, "accepted a revision from {origin}");
                }
            }
            Err(refused) => self.refuse(refused, now).await?,
        }
        Ok(())
    }

    async fn refuse(&mut self, refused: RefusedRevision, now: OffsetDateTime) -> Result<(), StoreError> {
        let is_news = self.refused.as_ref() != Some(&refused);
        if is_news {
            if let Some(reading) = &refused.reading {
                self.store.reject(&reading.fetched(), &refused.problems, now).await?;
                self.tell_taken();
            } else {
                self.tell_refused(&refused);
            }
            warn!(problems = refused.problems.len(), "the newest revision is refused: {}", first_of(&refused));
        }
        self.refused = Some(refused);
        if self.inputs.revision().is_some() {
            return Ok(());
        }
        let Some(last) = self.store.last_accepted().await? else {
            if is_news {
                warn!("nothing is in force, and containers are left as they are: no revision was accepted before");
            }
            return Ok(());
        };
        let (row, accepted_at, hash) = (last.id, last.accepted_at, last.hash.clone());
        match self.inputs.restore(last).await {
            Ok(()) => {
                (self.revision_row, self.accepted_at) = (Some(row), Some(accepted_at));
                info!(revision = hash.get(..12), "going on with the last accepted revision from the store");
            }
            Err(refused) if is_news => warn!(
                problems = refused.problems.len(),
                "nothing is in force, and containers are left as they are; the last accepted revision cannot be used \
                 either: {}",
                first_of(&refused)
            ),
            Err(_) => {}
        }
        Ok(())
    }

    /// Reads the secrets and builds what should be.
    fn resolve(&mut self) -> Result<Option<Arc<Desired>>, RefusedRevision> {
        self.secrets = self.reader.read(self.inputs.secret_references());
        let fingerprint =
            |value: &secrets::Value| value.as_ref().map(|value| self.store.fingerprint(value)).map_err(Clone::clone);
        let fingerprints: Fingerprints =
            self.secrets.iter().map(|(reference, value)| (reference.clone(), fingerprint(value))).collect();
        self.inputs.desired(&self.identities, &fingerprints)
    }

    async fn build(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let desired = match self.resolve() {
            Ok(Some(desired)) => desired,
            Ok(None) => return Ok(()),
            Err(refused) => return self.refuse(refused, now).await,
        };
        let same = self.desired.as_ref().is_some_and(|before| Arc::ptr_eq(before, &desired));
        if !same || self.sync_due {
            self.sync_due = true;
            let outcome = self.store.sync(&desired, now).await?;
            self.store.keep_wishes(&desired, now).await?;
            for id in [&outcome.created, &outcome.changed, &outcome.returned].into_iter().flatten() {
                self.settled.remove(id);
            }
            if !(outcome.created.is_empty() && outcome.undeclared.is_empty() && outcome.returned.is_empty()) {
                self.identities = self.store.identities().await?;
                for (id, stored) in self.store.pod_states().await? {
                    let pod = self.states.entry(id).or_default();
                    pod.undeclared_since = stored.undeclared_since;
                    (pod.removal_allowed, pod.subdomain) = (stored.removal_allowed, stored.subdomain);
                }
            }
            (self.sync_due, self.applied) = (false, false);
            self.desired = Some(desired);
        }
        Ok(())
    }

    async fn observe(&mut self, now: OffsetDateTime) {
        let before = matches!(self.actual, Actual::Observed(_));
        self.actual = match self.engine.observe().await {
            Ok(observed) => {
                if !before && self.rounds > 0 {
                    info!("the container engine answers again");
                }
                let mut seen: BTreeMap<PodId, Vec<ObservedContainer>> = BTreeMap::new();
                for container in observed {
                    if self.rounds == 0 && container.is_live() {
                        self.adopted.insert(container.name.clone());
                    }
                    seen.entry(container.pod.clone()).or_default().push(container);
                }
                Actual::Observed(seen)
            }
            Err(error) => {
                if before || self.rounds == 0 {
                    warn!(code = error.code(), "{error}; everything holds until it answers");
                }
                Actual::Unknown(error.to_string())
            }
        };
        self.watch_crashes(now);
    }

    fn watch_crashes(&mut self, now: OffsetDateTime) {
        let Actual::Observed(seen) = &self.actual else { return };
        for (id, containers) in seen {
            let Some(container) = status::standing(containers) else { continue };
            let crash = self
                .crashes
                .entry(id.clone())
                .or_insert_with(|| CrashWatch::new(&container.name, container.restarts, now));
            if crash.container() == container.name {
                crash.saw(container.restarts, now);
            } else {
                *crash = CrashWatch::new(&container.name, container.restarts, now);
            }
            self.states.entry(id.clone()).or_default().looping = crash.is_looping().then(|| container.name.clone());
        }
    }

    fn restarts(&self) -> BTreeMap<PodId, u32> {
        let Actual::Observed(seen) = &self.actual else { return BTreeMap::new() };
        seen.iter().filter_map(|(id, containers)| Some((id.clone(), status::standing(containers)?.restarts))).collect()
    }

    fn tidy(&mut self, desired: &Desired, now: OffsetDateTime) {
        let seen = match &self.actual {
            Actual::Observed(seen) => seen.keys().cloned().collect(),
            Actual::Unknown(_) => BTreeSet::new(),
        };
        for id in seen.into_iter().chain(desired.pods.keys().cloned()) {
            let desired_pod = desired.pods.get(&id);
            let pod = self.states.entry(id.clone()).or_default();
            pod.tidy(desired_pod, now);
            if desired_pod.is_some() {
                pod.undeclared_since = None;
            } else if self.identities.contains_key(&id) {
                pod.undeclared_since.get_or_insert(now);
            }
        }
        let revision = self.inputs.revision().unwrap_or_default();
        for (id, pod) in &mut self.states {
            pod.keep_allowance(desired.pods.contains_key(id), revision);
            pod.pause = pause_of(&self.requests, id, now);
        }
    }

    fn states(&self, now: OffsetDateTime) -> FleetState {
        FleetState {
            now,
            removal_grace: self.removal_grace,
            removals: self.removals,
            revision: self.inputs.revision().unwrap_or_default().to_owned(),
            requests: self.requests.clone(),
            pods: self.states.clone(),
        }
    }

    fn decide(&mut self, desired: &Desired, now: OffsetDateTime) {
        self.tidy(desired, now);
        self.plan = plan(desired, &self.actual, &self.states(now));
        self.tell_held();
    }

    /// Whether everything is as declared, now; the store keeps when that was so for the first time, and for each pod
    /// which revision it is from. One whose declaration a revision did not change is from the one before, and not
    /// written.
    async fn note_applied(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        self.note_settled(now).await?;
        let is_settled =
            |decision: &Decision| matches!(decision, Decision::Settled | Decision::Hold(Hold::RemovalGrace(_)));
        let applied = self.desired.as_ref().is_some_and(|desired| {
            let is_up = |id: &PodId| self.statuses.get(id).is_some_and(|status| status.ready);
            self.plan.pods.values().all(is_settled)
                && desired.pods.iter().all(|(id, desired_pod)| !desired_pod.is_running() || is_up(id))
        });
        if let (false, true, Some(row)) = (self.applied, applied, self.revision_row) {
            let is_news = self.store.mark_applied(row, now).await?;
            if let Some(fetched) = self.accepted_at.filter(|_| is_news) {
                self.metrics.applied(now - fetched);
            }
        }
        self.applied = applied;
        Ok(())
    }

    async fn note_settled(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let Some(desired) = &self.desired else { return Ok(()) };
        let stands = |id: &PodId| {
            let is_up = desired.pods.get(id).map(|desired_pod| {
                !desired_pod.is_running() || self.statuses.get(id).is_some_and(|status| status.ready)
            });
            is_up == Some(true) && matches!(self.plan.pods.get(id), Some(Decision::Settled))
        };
        let news: Vec<PodId> =
            desired.pods.keys().filter(|id| !self.settled.contains(*id) && stands(id)).cloned().collect();
        if !news.is_empty() {
            self.store.mark_pods_applied(&news, now).await?;
            self.settled.extend(news);
        }
        Ok(())
    }
}
