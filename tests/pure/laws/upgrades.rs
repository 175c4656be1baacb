//! Upgrades of agents that migrate their data: there is no way back to an image that would not understand it.

use std::collections::BTreeMap;

use agentpod::core::{
    declare::{
        desired::{self, Desired},
        manifest,
    },
    names::PodId,
    observe::actual::ContainerState,
};
use time::Duration;

use super::harness::Harness;
use crate::testkit::{
    declared::adapters_of,
    site::{shipped, site},
};

/// The pod `t/a` with this image, of an adapter that migrates or does not.
fn declared(image: &str, migrates: bool) -> Desired {
    let yaml = shipped("adapters/echo/adapter.yaml");
    let yaml = format!("{}\n  upgrade: {{migrates: {migrates}, startup: 5m}}\n", yaml.trim_end());
    let adapters = adapters_of(yaml);
    let text = format!(
        "apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {{name: t}}\n---\napiVersion: agentpod.dev/v1\nkind: Pod\n\
         metadata: {{name: a, tenant: t}}\nspec: {{adapter: echo, subdomain: a, image: {image}}}\n"
    );
    let (manifests, problems) = manifest::read([("t.yaml", text.as_bytes())]);
    assert_eq!(problems, []);
    desired::build(&manifests, &adapters, &site(), &BTreeMap::new(), &BTreeMap::new()).unwrap()
}

/// An agent that is upgraded and does not become ready, for a while.
fn upgraded(migrates: bool, minutes: i64) -> Harness {
    let id: PodId = "t/a".parse().unwrap();
    let mut harness = Harness::new(declared("agentpod/echo:1", migrates));
    harness.settle();
    harness.desired = declared("agentpod/echo:2", migrates);
    harness.never_ready.insert(harness.desired.pods[&id].container.digest.clone());
    for _ in 0..minutes {
        harness.round(usize::MAX);
        harness.now += Duration::minutes(1);
    }
    harness
}

/// The images' containers that run, and how many there are.
fn running(harness: &Harness) -> (Vec<String>, usize) {
    let id: PodId = "t/a".parse().unwrap();
    let new = &harness.desired.pods[&id].container.digest;
    let world = harness.engine.world();
    let live = world.containers.values().filter(|one| matches!(one.state, ContainerState::Running { .. }));
    let names = live.map(|one| if one.digest == *new { "new".to_owned() } else { "old".to_owned() });
    (names.collect(), world.containers.len())
}

#[test]
fn an_image_that_may_have_migrated_the_data_is_kept_going_and_the_one_before_is_not_started_again() {
    let mut harness = upgraded(true, 30);
    assert_eq!(running(&harness), (vec!["new".to_owned()], 2), "the one before is kept until the new one is ready");
    let plan = harness.plans.last().unwrap().to_string();
    assert!(plan.contains("the new image may have migrated the data"), "{plan}");
    harness.never_ready.clear();
    harness.settle();
    assert_eq!(running(&harness), (vec!["new".to_owned()], 1));
}

#[test]
fn an_image_that_migrates_nothing_has_its_longer_first_start_and_then_gives_way() {
    assert_eq!(running(&upgraded(false, 4)).0, ["new"], "the first start of another image has five minutes");
    assert_eq!(running(&upgraded(false, 8)).0, ["old"]);
}
