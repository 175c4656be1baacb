//! How deciding grows with the number of pods: planning a fleet at rest, a fleet of which a tenth is to be replaced
//! and one that is all missing, and building what should be from its manifests.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    time::Duration,
};

use agentpod::core::decide::plan::InfraState;
use agentpod::core::declare::infra::InfraId;
use agentpod::core::{
    decide::plan::{FleetState, PodState, Uploaded, plan},
    declare::{
        adapter::Adapters,
        desired::{self, Desired},
        manifest::{self, Manifests},
    },
    digest::Digest,
    names::PodId,
    observe::{
        actual::{Actual, ContainerState, ObservedContainer},
        health::{Health, Readiness},
    },
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use testkit::{declared::adapters, site::site};
use time::OffsetDateTime;

const SIZES: [usize; 3] = [1_000, 10_000, 30_000];

/// A file for each tenant, with one pod, as people write them.
fn manifests(pods: usize) -> Manifests {
    let file = |number: usize| {
        let text = format!(
            "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {{name: t{number}}}\n---\napiVersion: agentpod.dev/v1\n\
             kind: Pod\nmetadata: {{name: a, tenant: t{number}}}\nspec: {{adapter: echo, subdomain: t{number}}}\n"
        );
        (format!("t{number}.yaml"), text)
    };
    let files: Vec<(String, String)> = (0..pods).map(file).collect();
    let (manifests, problems) = manifest::read(files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())));
    assert_eq!(problems, []);
    manifests
}

fn build(manifests: &Manifests, adapters: &Adapters) -> Desired {
    desired::build(manifests, adapters, &site(), &BTreeMap::new(), &BTreeMap::new()).unwrap()
}

/// Every pod as it should be, but for each tenth (if asked), which still runs what it was before.
fn seen(desired: &Desired, now: OffsetDateTime, a_tenth_changed: bool) -> (Actual, FleetState) {
    let mut seen = BTreeMap::new();
    let mut pods: BTreeMap<PodId, PodState> = BTreeMap::new();
    for (number, (id, wish)) in desired.pods.iter().enumerate() {
        let changed = a_tenth_changed && number % 10 == 0;
        let digest = if changed { Digest::of_bytes(b"before") } else { wish.container.digest.clone() };
        let name = desired::container_name(id, &digest);
        let container = ObservedContainer {
            name: name.clone(),
            parts: agentpod::core::declare::parts::PartDigests::default(),
            id: format!("{number:064}"),
            node: "local".into(),
            pod: id.clone(),
            digest,
            state: ContainerState::Running { since: Some(now) },
            created_at: now,
            has_run: true,
            restarts: 0,
            networks: BTreeSet::from(["agentpod-net".into()]),
            addresses: BTreeMap::from([("agentpod-net".into(), "10.213.8.1".parse().unwrap())]),
            in_force: None,
        };
        seen.insert(id.clone(), vec![container]);
        pods.insert(
            id.clone(),
            PodState {
                uploaded: wish.hot.clone().map(|digest| Uploaded { container: name.clone(), digest }),
                health: Some(Health { readiness: Readiness::Ready, ..Health::new(name, now, now) }),
                ..PodState::default()
            },
        );
    }
    (
        Actual::Observed(seen),
        FleetState {
            now,
            removal_grace: time::Duration::minutes(10),
            removal_settle: time::Duration::ZERO,
            removals: Default::default(),
            max_unavailable: Default::default(),
            revision: "r1".into(),
            requests: Vec::new(),
            pods,
            infra: [(InfraId::Network("agentpod-net".into()), InfraState::present())].into(),
        },
    )
}

fn benches(criterion: &mut Criterion) {
    let adapters = adapters();
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    let mut group = criterion.benchmark_group("plan");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    for pods in SIZES {
        let manifests = manifests(pods);
        let desired = build(&manifests, &adapters);
        let rest = seen(&desired, now, false);
        let changed = seen(&desired, now, true);
        let missing = (Actual::Observed(BTreeMap::new()), FleetState { pods: BTreeMap::new(), ..rest.1.clone() });
        assert!(plan(&desired, &rest.0, &rest.1).is_quiet());
        assert_eq!(plan(&desired, &changed.0, &changed.1).actions().count(), pods / 10);
        assert_eq!(plan(&desired, &missing.0, &missing.1).actions().count(), pods);
        group.throughput(Throughput::Elements(pods as u64));
        for (name, (actual, circumstances)) in
            [("at rest", &rest), ("a tenth changed", &changed), ("all missing", &missing)]
        {
            group.bench_with_input(BenchmarkId::new(name, pods), &pods, |bencher, _| {
                bencher.iter(|| plan(black_box(&desired), black_box(actual), black_box(circumstances)));
            });
        }
        group.bench_with_input(BenchmarkId::new("building what should be", pods), &pods, |bencher, _| {
            bencher.iter(|| build(black_box(&manifests), &adapters));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
