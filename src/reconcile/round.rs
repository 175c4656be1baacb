//! One round: source → desired → store → observe → plan → hand out → status. The straight line of the whole program;
//! each part is a function below, in that order.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tracing::{info, warn};

use super::{
    Reconciler, Refused,
    execute::{Listener, Order, execute},
    probe::Prober,
    triggers::Report,
};
use crate::{
    core::{
        actual::{Actual, ContainerState, Sighting},
        crash::CrashWatch,
        desired::{self, Desired, DesiredPod, SecretTexts},
        health::Health,
        labels,
        names::PodId,
        plan::{Action, Circumstances, Decision, Plan, Step, plan},
        secret::Fingerprints,
        status::{self, Phase, Status},
    },
    engine::{self, Materials, PullProgress},
    secrets,
    store::StoreError,
};

/// How long the engine's word about a container we stopped or removed is taken for our own doing. A stop may take
/// minutes.
const OURS: time::Duration = time::Duration::minutes(7);

impl Reconciler {
    /// Makes one round. Only the database can keep it from being made; then everything holds.
    pub(super) async fn round(&mut self) -> Result<(), StoreError> {
        let now = OffsetDateTime::now_utc();
        self.load().await?;
        if self.source_due {
            self.take_revision(now).await?;
            self.source_due = false;
        }
        self.build(now).await?;
        self.journal.flush(&self.remembered).await?;
        self.observe(now).await;
        if let Some(desired) = self.desired.clone() {
            self.decide(&desired, now);
            self.hand_out(&desired, now).await?;
        }
        self.judge(now);
        self.journal.flush(&self.remembered).await?;
        let whole = self.desired.is_some() && matches!(self.actual, Actual::Seen(_));
        self.journal.statuses(&self.statuses, whole, now).await?;
        self.journal.restarts(self.restarts(), now).await?;
        self.journal.prune(now).await?;
        self.note_applied(now).await?;
        self.rounds += 1;
        self.publish();
        Ok(())
    }

    /// A round without its consequences: what `agentpod plan` shows. Nothing is written anywhere.
    pub async fn preview(&mut self) -> Result<Result<(Plan, Arc<Desired>), Refused>, StoreError> {
        let now = OffsetDateTime::now_utc();
        self.load().await?;
        let fresh = match self.inputs.read().await {
            Ok(fresh) => fresh,
            Err(refused) => return Ok(Err(refused)),
        };
        self.inputs.accept(fresh);
        let desired = match self.resolve() {
            Ok(Some(desired)) => desired,
            Ok(None) => return Ok(Err(Refused { revision: None, problems: Vec::new() })),
            Err(refused) => return Ok(Err(refused)),
        };
        self.observe(now).await;
        self.tidy(&desired, now);
        let circumstances = self.circumstances(now);
        Ok(Ok((plan(&desired, &self.actual, &circumstances), desired)))
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        if self.loaded {
            return Ok(());
        }
        self.known = self.store.known().await?;
        self.remembered = self.store.circumstances().await?;
        self.journal.loaded(&self.remembered, &self.store.statuses().await?);
        self.loaded = true;
        Ok(())
    }

    async fn take_revision(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        match self.inputs.read().await {
            Ok(fresh) => {
                if self.refused.take().is_some() {
                    info!("the source is in order again");
                }
                let judged = self.store.accept(&fresh.revision, &self.inputs.origin(), &fresh.files, now).await?;
                self.revision_row = Some(judged.id);
                if self.inputs.accept(fresh) {
                    self.applied = false;
                    info!(revision = self.inputs.revision().unwrap_or_default().get(..12), "accepted a revision from {}", self.inputs.origin());
                }
            }
            Err(refused) => self.refuse(refused, now).await?,
        }
        Ok(())
    }

    async fn refuse(&mut self, refused: Refused, now: OffsetDateTime) -> Result<(), StoreError> {
        if self.refused.as_ref() != Some(&refused) {
            let first = refused.problems.first().map(ToString::to_string).unwrap_or_default();
            warn!(problems = refused.problems.len(), "the newest revision is refused, the last good one stays in force: {first}");
            if let Some(revision) = &refused.revision {
                self.store.reject(revision, &self.inputs.origin(), &refused.problems, now).await?;
            }
        }
        self.refused = Some(refused);
        if self.inputs.revision().is_none()
            && let Some(last) = self.store.last_accepted().await?
        {
            match self.inputs.restore(last.hash.clone(), &last.files).await {
                Ok(()) => info!(revision = last.hash.get(..12), "going on with the last accepted revision from the store"),
                Err(refused) => warn!(problems = refused.problems.len(), "the last accepted revision cannot be used either"),
            }
        }
        Ok(())
    }

    /// Reads the secrets and builds what should be.
    fn resolve(&mut self) -> Result<Option<Arc<Desired>>, Refused> {
        let references = self.inputs.secret_references();
        self.secrets = references.into_iter().map(|reference| (reference.clone(), secrets::resolve(&reference))).collect();
        let fingerprint = |value: &Result<secrecy::SecretString, String>| value.as_ref().map(|value| self.store.fingerprint(value)).map_err(Clone::clone);
        let fingerprints: Fingerprints = self.secrets.iter().map(|(reference, value)| (reference.clone(), fingerprint(value))).collect();
        self.inputs.desired(&self.known, &fingerprints)
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
            if !(outcome.created.is_empty() && outcome.undeclared.is_empty() && outcome.returned.is_empty()) {
                self.known = self.store.known().await?;
                for (id, stored) in self.store.circumstances().await? {
                    self.remembered.entry(id).or_default().undeclared_since = stored.undeclared_since;
                }
            }
            (self.sync_due, self.applied) = (false, false);
            self.desired = Some(desired);
        }
        Ok(())
    }

    async fn observe(&mut self, now: OffsetDateTime) {
        let before = matches!(self.actual, Actual::Seen(_));
        self.actual = match self.engine.observe().await {
            Ok(sightings) => {
                if !before && self.rounds > 0 {
                    info!("the container engine answers again");
                }
                let mut seen: BTreeMap<PodId, Vec<Sighting>> = BTreeMap::new();
                for sighting in sightings {
                    if self.rounds == 0 && sighting.is_live() {
                        self.adopted.insert(sighting.name.clone());
                    }
                    seen.entry(sighting.pod.clone()).or_default().push(sighting);
                }
                Actual::Seen(seen)
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
        let Actual::Seen(seen) = &self.actual else { return };
        for (id, containers) in seen {
            let Some(container) = status::standing(containers) else { continue };
            let crash = self.crashes.entry(id.clone()).or_insert_with(|| CrashWatch::new(&container.name, container.restarts, now));
            if crash.container() == container.name {
                crash.saw(container.restarts, now);
            } else {
                *crash = CrashWatch::new(&container.name, container.restarts, now);
            }
            self.remembered.entry(id.clone()).or_default().looping = crash.is_looping().then(|| container.name.clone());
        }
    }

    fn restarts(&self) -> BTreeMap<PodId, u32> {
        let Actual::Seen(seen) = &self.actual else { return BTreeMap::new() };
        seen.iter().filter_map(|(id, containers)| Some((id.clone(), status::standing(containers)?.restarts))).collect()
    }

    fn tidy(&mut self, desired: &Desired, now: OffsetDateTime) {
        let seen = match &self.actual {
            Actual::Seen(seen) => seen.keys().cloned().collect(),
            Actual::Unknown(_) => BTreeSet::new(),
        };
        for id in seen.into_iter().chain(desired.pods.keys().cloned()) {
            let wish = desired.pods.get(&id);
            let pod = self.remembered.entry(id).or_default();
            pod.tidy(wish, now);
            if wish.is_some() {
                pod.undeclared_since = None;
            } else {
                pod.undeclared_since.get_or_insert(now);
            }
        }
    }

    fn circumstances(&self, now: OffsetDateTime) -> Circumstances {
        Circumstances { now, removal_grace: self.removal_grace, pods: self.remembered.clone() }
    }

    fn decide(&mut self, desired: &Desired, now: OffsetDateTime) {
        self.tidy(desired, now);
        self.plan = plan(desired, &self.actual, &self.circumstances(now));
    }

    /// Hands each pod's steps to a task of its own. What the action means is written down before its first step.
    async fn hand_out(&mut self, desired: &Arc<Desired>, now: OffsetDateTime) -> Result<(), StoreError> {
        self.touched.retain(|_, at| now - *at < OURS);
        let actions: Vec<(PodId, Action)> = self.plan.actions().map(|(id, action)| (id.clone(), action.clone())).collect();
        for (id, action) in actions {
            for step in &action.steps {
                match step {
                    Step::Stop(container) | Step::Remove(container) => drop(self.touched.insert(container.clone(), now)),
                    Step::Start(container) => drop(self.touched.remove(container)),
                    _ => {}
                }
            }
            let wish = desired.pods.get(&id).cloned();
            self.remembered.entry(id.clone()).or_default().begin(&action, wish.as_ref(), now, chance(now));
            if action.verdict.is_some() {
                self.read_logs(&id, super::record::kind(&action), &action.cause.to_string());
                self.journal.flush(&self.remembered).await?;
            }
            match self.order(&id, &action, wish.as_ref()).await? {
                Ok(order) => self.spawn(order, wish),
                Err(why) => {
                    let report = Report::Finished { pod: id, action: Box::new(action), wish: wish.map(Box::new), outcome: Err(why) };
                    let _ = self.reports.send(report);
                }
            }
        }
        Ok(())
    }

    async fn order(&self, id: &PodId, action: &Action, wish: Option<&DesiredPod>) -> Result<Result<Order, String>, StoreError> {
        let needs_values = action.steps.iter().any(|step| matches!(step, Step::Create(_) | Step::Upload(..)));
        let materials = match wish.filter(|_| needs_values) {
            None => Materials::default(),
            Some(wish) => match self.materials(wish).await? {
                Ok(materials) => materials,
                Err(why) => return Ok(Err(why)),
            },
        };
        Ok(Ok(Order {
            pod: id.clone(),
            action: action.clone(),
            container: wish.map(|wish| wish.container.clone()),
            materials,
            network: self.network.clone(),
            volume_labels: labels::of_pod(self.inputs.site(), id),
        }))
    }

    /// Renders a pod once more, now with the real values.
    async fn materials(&self, wish: &DesiredPod) -> Result<Result<Materials, String>, StoreError> {
        let pod = &wish.declared;
        let Some(token) = self.store.token(&pod.id).await? else { return Ok(Err("it has no gateway token yet".into())) };
        let mut values = BTreeMap::new();
        for (name, reference) in &pod.secrets {
            match self.secrets.get(reference) {
                Some(Ok(value)) => values.insert(name.clone(), value.expose_secret().to_owned()),
                Some(Err(why)) => return Ok(Err(format!("secret {name}: {why}"))),
                None => return Ok(Err(format!("secret {name} was not looked up"))),
            };
        }
        let texts = SecretTexts { secrets: values, token: token.expose_secret().to_owned() };
        let Some(adapters) = self.inputs.adapters() else { return Ok(Err("no adapters are in force".into())) };
        Ok(match desired::render(adapters, self.inputs.site(), pod, &texts) {
            Ok(rendered) => Ok(Materials { environment: rendered.environment, files: rendered.files }),
            // The problems were made with real values in reach, so only where they are is repeated.
            Err(problems) => Err(format!("{} cannot be rendered with its real values", problems.first().map_or("a template", |p| p.file.as_str()))),
        })
    }

    fn spawn(&self, order: Order, wish: Option<DesiredPod>) {
        let (engine, reports, turns) = (self.engine.clone(), self.reports.clone(), self.side_by_side.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
            let listener = Telling(reports.clone());
            let outcome = execute(engine.as_ref(), &order, &listener).await.map_err(|failed| failed.to_string());
            let _ = reports.send(Report::Finished { pod: order.pod, action: Box::new(order.action), wish: wish.map(Box::new), outcome });
        });
    }

    /// Works out every pod's status, and keeps a probe on every container that should be ready.
    fn judge(&mut self, now: OffsetDateTime) {
        let empty = BTreeMap::new();
        let seen = match &self.actual {
            Actual::Seen(seen) => seen,
            Actual::Unknown(_) => &empty,
        };
        let none = Arc::new(Desired { tenants: BTreeMap::new(), pods: BTreeMap::new() });
        let desired = self.desired.clone().unwrap_or(none);
        let mut statuses = BTreeMap::new();
        let mut probed = BTreeSet::new();
        for (id, decision) in &self.plan.pods {
            let wish = desired.pods.get(id);
            let containers = seen.get(id).map_or(&[][..], Vec::as_slice);
            if wish.is_none() && containers.is_empty() {
                continue;
            }
            let remembered = self.remembered.entry(id.clone()).or_default();
            if let (Some(wish), Some(container)) = (wish, status::standing(containers)) {
                let network = &wish.container.blueprint.network;
                if let (true, ContainerState::Running { since }, Some(ip)) = (wish.is_running(), &container.state, engine::address(container, network)) {
                    let started = since.unwrap_or(now);
                    let fresh = remembered.health.as_ref().is_none_or(|health| health.container != container.name || since.is_some_and(|since| since > health.started));
                    if fresh {
                        remembered.health = Some(Health::new(&container.name, started, now));
                    }
                    let address = SocketAddr::new(ip, wish.declared.adapter.spec.port);
                    if self.probers.get(id).is_none_or(|prober| prober.container != container.name || prober.address != address) {
                        let (host, probe) = (self.inputs.site().host(&wish.declared.subdomain), wish.declared.adapter.spec.health.clone());
                        let prober = Prober::start(id.clone(), container.name.clone(), address, host, probe, self.engine.clone(), self.reports.clone());
                        self.probers.insert(id.clone(), prober);
                    }
                    probed.insert(id.clone());
                }
            }
            let mut status = status::status(wish, containers, decision, remembered, now);
            if self.doing.get(id).is_some_and(|doing| doing.pull.is_some()) {
                (status.phase, status.reason) = (Phase::Pulling, "Pulling".into());
            }
            statuses.insert(id.clone(), status);
        }
        self.probers.retain(|id, _| probed.contains(id));
        let before = std::mem::replace(&mut self.statuses, statuses);
        self.note_changes(&before);
    }

    fn note_changes(&mut self, before: &BTreeMap<PodId, Status>) {
        let mut notes: Vec<(PodId, &'static str, String)> = Vec::new();
        for (id, status) in &self.statuses {
            let was = before.get(id);
            if was.is_some_and(|was| was.ready) != status.ready {
                let adopted = status.container.as_ref().is_some_and(|container| self.adopted.remove(container));
                if !adopted && status.ready {
                    notes.push((id.clone(), "ready", status.message.clone()));
                }
            }
            if status.phase == Phase::Unhealthy && was.is_none_or(|was| was.phase != Phase::Unhealthy) {
                notes.push((id.clone(), "unhealthy", status.message.clone()));
            }
        }
        for (id, kind, message) in notes {
            if kind == "unhealthy" {
                self.read_logs(&id, kind, &message);
            } else {
                self.note(&id, kind, message, Vec::new());
            }
        }
    }

    async fn note_applied(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        let settled = self.desired.is_some() && self.plan.pods.values().all(|decision| matches!(decision, Decision::Settled | Decision::Hold(crate::core::plan::Hold::RemovalGrace(_))));
        if let (false, true, Some(row)) = (self.applied, settled, self.revision_row) {
            self.store.mark_applied(row, now).await?;
            self.applied = true;
        }
        Ok(())
    }
}

/// Sends steps and pulls to the reconciler.
struct Telling(tokio::sync::mpsc::UnboundedSender<Report>);

impl Listener for Telling {
    fn step(&self, pod: &PodId, step: &Step) {
        let _ = self.0.send(Report::Step(pod.clone(), step.clone()));
    }

    fn pull(&self, pod: &PodId, progress: PullProgress) {
        let _ = self.0.send(Report::Pulling(pod.clone(), progress.received, progress.total));
    }
}

/// A number between 0 and 1 that differs from pod to pod and from time to time; only for jitter.
pub(super) fn chance(now: OffsetDateTime) -> f64 {
    f64::from(now.nanosecond() / 1000 % 1000) / 1000.0
}
