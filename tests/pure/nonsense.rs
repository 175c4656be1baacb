//! A file of nonsense costs little and is told about briefly, in each of the ways that once took minutes or megabytes.
//! `cargo bench --bench judge` measures it.

use std::{collections::BTreeMap, time::Instant};

use agentpod::core::{
    declare::{adapter::Adapters, desired, manifest},
    problem::Problem,
};

use crate::testkit::{declared::adapters, site::site};

fn judge(text: &str, adapters: &Adapters) -> Vec<Problem> {
    let (manifests, mut problems) = manifest::read([("a.yaml", text.as_bytes())]);
    let built = desired::build(&manifests, adapters, &site(), &BTreeMap::new(), &BTreeMap::new());
    problems.extend(built.err().unwrap_or_default());
    problems
}

fn tenant(name: &str) -> String {
    format!("apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {{name: {name}}}\n")
}

fn pod(tenant: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: {name}, tenant: {tenant}}}\nspec: {{adapter: echo, {spec}}}\n"
    )
}

#[test]
fn a_mebibyte_of_nonsense_is_told_about_briefly_and_soon() {
    let repeat = |text: &str| text.repeat((1 << 20) / text.len());
    let header = tenant("alice");
    let keys: String = (0..24_000).map(|number| format!("  unknown-key-{number}: x\n")).collect();
    let strangers: String =
        (0..6_000).map(|number| pod(&format!("stranger-{number}"), "one", &format!("subdomain: s{number}"))).collect();
    let duplicates = repeat("same: 1\n");
    let nonsense = [
        ("broken documents", repeat("[\n---\n")),
        ("empty documents", repeat("---\n{}\n")),
        ("unclosed quotes", repeat("'\n---\n")),
        ("unknown keys", format!("{header}spec:\n{keys}")),
        ("unknown tenants", header.clone() + &strangers),
        ("duplicate keys", duplicates),
        ("a number", format!("{header}spec: {{displayName: {}}}\n", "7".repeat(500_000))),
        ("a key", format!("{header}? {}\n: x\n", "k".repeat(900_000))),
        ("depth", repeat("[")),
        ("indentation", (0..1_400).map(|depth| " ".repeat(depth) + "a:\n").collect()),
        ("anchors", (0..60_000).map(|number| format!("- &a{number} x\n")).collect()),
        ("control characters", repeat("\u{1}")),
    ];
    let adapters = adapters();
    for (name, text) in nonsense {
        let text = &text[..text.len().min(1 << 20)];
        let began = Instant::now();
        let told = judge(text, &adapters);
        let took = began.elapsed();
        let longest = told.iter().map(|problem| problem.to_string().len()).max().unwrap_or_default();
        assert!(!told.is_empty() && told.len() <= 101, "{name}: {} problems", told.len());
        assert!(longest < 2_000, "{name}: a problem of {longest} bytes");
        // Without optimization, and beside other work; quadratic it was a minute and more.
        assert!(took.as_secs() < 30, "{name}: it took {took:?}");
    }
}
