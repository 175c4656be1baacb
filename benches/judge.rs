//! How long a file of a mebibyte takes to be judged: of pods as people write them, and of nonsense in each of the ways that
//! once took minutes.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use std::{collections::BTreeMap, hint::black_box};

use agentpod::core::declare::{desired, manifest};
use criterion::{Criterion, criterion_group, criterion_main};
use testkit::{declared::adapters, site::site};

const MEBIBYTE: usize = 1 << 20;

/// As many of these as fit.
fn fill(one: impl Fn(usize) -> String) -> String {
    let mut text = "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: alice}\n".to_owned();
    for number in 0.. {
        let next = one(number);
        if text.len() + next.len() > MEBIBYTE {
            break;
        }
        text += &next;
    }
    text
}

fn pod(tenant: &str, number: usize) -> String {
    format!(
        "---\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: p{number}, tenant: {tenant}}}\n\
         spec: {{adapter: echo, subdomain: s{number}}}\n"
    )
}

fn judging(c: &mut Criterion) {
    let adapters = adapters();
    let mut group = c.benchmark_group("judge 1 MiB");
    group.sample_size(10);
    let files = [
        ("of pods", fill(|number| pod("alice", number))),
        ("of broken documents", fill(|_| "---\n[\n".into())),
        ("of unknown tenants", fill(|number| pod(&format!("stranger-{number}"), number))),
        ("of unknown keys", fill(|number| if number == 0 { "spec:\n".into() } else { format!("  key-{number}: x\n") })),
    ];
    for (name, text) in files {
        group.bench_function(name, |b| {
            b.iter(|| {
                let (manifests, problems) = manifest::read([("a.yaml", black_box(text.as_bytes()))]);
                let built = desired::build(&manifests, &adapters, &site(), &BTreeMap::new(), &BTreeMap::new());
                (problems, built.is_ok())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
