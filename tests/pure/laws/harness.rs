//! Rounds against the memory engine: look, plan, carry out, remember, with crashes wherever a test wants them.

use std::collections::{BTreeMap, BTreeSet};

use agentpod::{
    core::{
        decide::{
            plan::{
                ActionFailure, Decision, FleetState, InfraState, MaxUnavailable, Plan, PodState, RemovalLimit, plan,
            },
            request::{EndedRequest, OpenRequest, Request, RequestSpec},
        },
        declare::desired::{Desired, Rendered},
        digest::Digest,
        names::PodId,
        observe::{
            actual::{Actual, ContainerState, ObservedContainer},
            health::{Health, Readiness},
        },
    },
    engine::{
        Engine, Materials,
        memory::{MemoryContainer, MemoryEngine, NETWORK},
    },
    reconcile::act::execute::{Job, NoProgress, execute},
};
use time::{Duration, OffsetDateTime};

/// Holds no removal, for the laws that are not about that.
pub const NO_LIMIT: RemovalLimit = RemovalLimit { count: usize::MAX, percent: 100 };

pub struct Harness {
    pub engine: MemoryEngine,
    pub desired: Desired,
    pub states: BTreeMap<PodId, PodState>,
    pub now: OffsetDateTime,
    /// The revision that `desired` stands for.
    pub revision: String,
    pub limit: RemovalLimit,
    pub max_unavailable: MaxUnavailable,
    /// How long removals settle.
    pub removal_settle: Duration,
    /// What people asked for, and nobody is done with yet.
    pub requests: Vec<OpenRequest>,
    /// What came of it.
    pub ended: Vec<EndedRequest>,
    /// Digests whose containers never become ready.
    pub never_ready: BTreeSet<Digest>,
    /// What the probe of every container says instead, if anything.
    pub lost: Option<Health>,
    /// Plans made, newest last.
    pub plans: Vec<Plan>,
}

impl Harness {
    pub fn new(desired: Desired) -> Self {
        Self {
            engine: MemoryEngine::default(),
            desired,
            states: BTreeMap::new(),
            now: OffsetDateTime::UNIX_EPOCH + Duration::days(1000),
            revision: "r1".into(),
            limit: NO_LIMIT,
            max_unavailable: MaxUnavailable(100),
            removal_settle: Duration::ZERO,
            requests: Vec::new(),
            ended: Vec::new(),
            never_ready: BTreeSet::new(),
            lost: None,
            plans: Vec::new(),
        }
    }

    pub fn pod(&mut self, id: &PodId) -> &mut PodState {
        self.states.entry(id.clone()).or_default()
    }

    /// One round; gives the number of steps that were planned. At most `steps` of them are tried, then "we" die.
    pub fn round(&mut self, steps: usize) -> usize {
        self.engine.world().now = Some(self.now);
        let seen = match block_on(self.engine.observe()) {
            Ok(seen) => by_pod(seen),
            Err(error) => return self.blind_round(error.to_string()),
        };
        self.probe(&seen);
        // What the store tells the reconciler after a sync.
        for (id, pod) in &self.desired.pods {
            self.states.entry(id.clone()).or_default().subdomain = Some(pod.declared.subdomain.clone());
        }
        let mut fleet = self.fleet();
        let actual = Actual::Observed(seen);
        fleet.refresh(&self.desired, &actual, |_| true);
        let made = plan(&self.desired, &actual, &fleet);
        self.states = fleet.pods;
        self.plans.push(made.clone());
        // One transaction, before the first step.
        for (id, allowance) in &made.allowed {
            self.pod(id).removal_allowed = Some(allowance.clone());
        }
        self.requests.retain(|open| !made.ended.iter().any(|ended| ended.id == open.id));
        self.ended.extend(made.ended.clone());
        let mut left = steps;
        let mut planned = 0;
        for (id, decision) in &made.pods {
            let Decision::Act(action) = decision else { continue };
            planned += action.steps.len();
            if left == 0 {
                continue;
            }
            let desired = self.desired.pods.get(id).cloned();
            let now = self.now;
            self.pod(id).begin(action, desired.as_ref(), now, 0.5);
            let mut tried = action.clone();
            tried.steps.truncate(left);
            let died = tried.steps.len() < action.steps.len();
            left -= tried.steps.len();
            let job = Job {
                action: tried.clone(),
                container: desired.as_ref().map(|desired| desired.container.clone()),
                materials: self.materials(id),
                ids: BTreeMap::new(),
                control: Default::default(),
            };
            let outcome = block_on(execute(&self.engine, &job, &NoProgress)).map_err(ActionFailure::from);
            if died {
                // Killed in mid-action: what was begun is states, how it went is not.
                self.pod(id).busy = false;
            } else {
                self.pod(id).finish(&tried, desired.as_ref(), outcome, now, 0.5);
            }
        }
        planned
    }

    fn blind_round(&mut self, why: String) -> usize {
        let made = plan(&self.desired, &Actual::Unknown(why), &self.fleet());
        assert!(made.is_quiet(), "a blind round acts:\n{made}");
        self.plans.push(made);
        0
    }

    fn fleet(&self) -> FleetState {
        FleetState {
            now: self.now,
            removal_grace: Duration::minutes(10),
            removal_settle: self.removal_settle,
            removals: self.limit,
            max_unavailable: self.max_unavailable,
            revision: self.revision.clone(),
            requests: self.requests.clone(),
            pods: self.states.clone(),
            infra: self.desired.infra.iter().map(|item| (item.id(), InfraState::present())).collect(),
        }
    }

    /// Somebody asks for something, now.
    pub fn ask(&mut self, what: RequestSpec) -> i64 {
        let id = i64::try_from(self.requests.len() + self.ended.len()).unwrap() + 1;
        let request = Request { actor: "alice@host".into(), what };
        let expires_at = request.what.expires(self.now);
        self.requests.push(OpenRequest { id, request, requested_at: self.now, expires_at });
        id
    }

    /// What a fresh AgentPod would not know: everything that is only in memory.
    pub fn restart(&mut self) {
        for state in self.states.values_mut() {
            (state.busy, state.health, state.looping, state.fallback_retry) = (false, None, None, None);
            (state.cleanup_retry, state.liveness_retry, state.repeated) = (None, None, None);
            state.restart = None;
        }
    }

    /// Rounds a minute apart until nothing is planned and nothing is awaited; fails when that never happens.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            self.now += Duration::minutes(1);
            self.engine_restarts();
            if self.round(usize::MAX) == 0 && !self.waits() {
                return;
            }
        }
        panic!("it never settles:\n{}\nwrites: {:#?}", self.plans.last().unwrap(), self.engine.world().writes);
    }

    /// What the engine does by itself: a restarting container comes up again. A paused one waits for a person.
    fn engine_restarts(&self) {
        for container in self.engine.world().containers.values_mut() {
            if matches!(container.state, ContainerState::Restarting(_)) {
                container.state = ContainerState::Running { since: Some(self.now) };
            }
        }
    }

    fn waits(&self) -> bool {
        use agentpod::core::decide::plan::Hold::{AwaitingReady, RemovalGrace, RemovalSettles, RetryAt};
        let last = self.plans.last().expect("a round was made");
        let passes = |decision: &Decision| {
            matches!(decision, Decision::Hold(AwaitingReady | RetryAt(_) | RemovalGrace(_) | RemovalSettles(_)))
        };
        last.pods.values().any(passes)
    }

    fn probe(&mut self, seen: &BTreeMap<PodId, Vec<ObservedContainer>>) {
        for (id, containers) in seen {
            for container in containers {
                if let ContainerState::Running { since } = container.state {
                    let is_ready = !self.never_ready.contains(&container.digest);
                    let readiness = if is_ready { Readiness::Ready } else { Readiness::Starting };
                    let state = self.pod(id).health.clone().filter(|health| health.container == container.name);
                    let first_seen = state.map_or(self.now, |health| health.started);
                    let health = Health {
                        readiness,
                        ..Health::new(&container.name, since.unwrap_or(first_seen), since.unwrap_or(first_seen))
                    };
                    let said = self.lost.clone().filter(|lost| lost.container == container.name);
                    self.pod(id).health = Some(said.unwrap_or(health));
                }
            }
        }
    }

    fn materials(&self, id: &PodId) -> Materials {
        let Some(desired) = self.desired.pods.get(id) else { return Materials::default() };
        // Only the paths matter to the memory engine; the greeting tells hot files apart.
        let text = desired.hot.as_ref().map(ToString::to_string).unwrap_or_default();
        let file = agentpod::core::declare::desired::RenderedFile {
            path: "/config/echo.json".into(),
            mode: 0o444,
            text,
            hot: true,
        };
        let Rendered { environment, files } = Rendered { environment: BTreeMap::new(), files: vec![file] };
        Materials { environment, files }
    }
}

pub fn by_pod(seen: Vec<ObservedContainer>) -> BTreeMap<PodId, Vec<ObservedContainer>> {
    let mut pods: BTreeMap<PodId, Vec<ObservedContainer>> = BTreeMap::new();
    for container in seen {
        pods.entry(container.pod.clone()).or_default().push(container);
    }
    pods
}

/// The memory engine never waits, so its futures are ready at the first poll.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the memory engine waited"),
    }
}

/// Whether the world is as it was wished, said without the planner: what is wrong, if anything.
pub fn unsatisfied(harness: &Harness) -> Option<String> {
    let world = harness.engine.world();
    if !world.violations.is_empty() {
        return Some(format!("law 4: {:?}", world.violations));
    }
    let ids: BTreeSet<&PodId> = harness.desired.pods.keys().chain(world.containers.values().map(|c| &c.pod)).collect();
    for id in ids {
        let mine: Vec<_> = world.containers.iter().filter(|(_, container)| container.pod == *id).collect();
        let live = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
        let running: Vec<_> = mine.iter().filter(|(_, container)| live(&container.state)).collect();
        let state = harness.states.get(id).cloned().unwrap_or_default();
        let wrong = match harness.desired.pods.get(id) {
            None => (!mine.is_empty()).then(|| "it is not declared, and containers are left".to_owned()),
            Some(desired) if !desired.is_running() => {
                (!running.is_empty()).then(|| "it is declared stopped".to_owned())
            }
            Some(desired) => {
                let wished = |container: &MemoryContainer| container.digest == desired.container.digest;
                let blind = !desired.missing_secrets.is_empty();
                let stands = |container: &MemoryContainer| wished(container) || blind || state.rejected.is_some();
                let paused = mine.iter().any(|(_, c)| stands(c) && c.state == ContainerState::Paused);
                let hopeless = harness.never_ready.contains(&desired.container.digest);
                match running.as_slice() {
                    _ if paused => None,
                    [(name, container)] if !container.networks.contains(NETWORK) => {
                        Some(format!("{name} is off its network"))
                    }
                    [] if blind && !mine.iter().any(|(_, container)| container.has_run) => None,
                    [_] if blind => None,
                    [] => Some("it should run".to_owned()),
                    [(_, container)] if wished(container) => {
                        if mine.len() != 1 && !hopeless {
                            Some("containers from before are left".to_owned())
                        } else {
                            let hot = desired.hot.as_ref().map(ToString::to_string);
                            let there = container.files.get("/config/echo.json").cloned();
                            (hot != there).then(|| format!("its hot file is {there:?}, not {hot:?}"))
                        }
                    }
                    [(name, _)] if state.rejected.is_some() => {
                        (mine.len() != 1).then(|| format!("rolled back to {name}, but more is left"))
                    }
                    [(name, _)] => Some(format!("{name} runs, not {}", desired.container.name)),
                    _ => Some("more than one container runs".to_owned()),
                }
            }
        };
        if let Some(wrong) = wrong {
            return Some(format!("{id}: {wrong}\n{mine:#?}"));
        }
    }
    None
}
