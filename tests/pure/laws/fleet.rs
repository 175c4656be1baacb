//! Declared pods to try the laws on, built from YAML by the same code that builds real ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};

use crate::testkit::{declared::adapters, site::site};
use agentpod::core::declare::{
    adapter::Adapters,
    desired::{self, Desired},
    manifest,
};

static ADAPTERS: LazyLock<Arc<Adapters>> = LazyLock::new(|| Arc::new(adapters()));

/// One pod of tenant `t`: its name, its state, `mode` (in the digest) and `greeting` (hot), and whether its secret is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DesiredCase {
    pub name: &'static str,
    pub stopped: bool,
    pub mode: char,
    pub greeting: char,
    pub secret_missing: bool,
    /// Its subdomain, if that is not its name.
    pub subdomain: Option<&'static str>,
}

pub fn running(name: &'static str, mode: char, greeting: char) -> DesiredCase {
    DesiredCase { name, stopped: false, mode, greeting, secret_missing: false, subdomain: None }
}

/// Builds, or gives what was built for the same declaration before.
pub fn build(wanted: &[DesiredCase]) -> Desired {
    static BUILT: Mutex<BTreeMap<Vec<DesiredCase>, Desired>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    built.entry(wanted.to_vec()).or_insert_with(|| build_anew(wanted)).clone()
}

fn build_anew(wanted: &[DesiredCase]) -> Desired {
    let mut yaml = String::from("apiVersion: agentpod.dev/v1\nkind: Tenant\nmetadata: {name: t}\n");
    for DesiredCase { name, stopped, mode, greeting, secret_missing, subdomain } in wanted {
        let subdomain = subdomain.unwrap_or(name);
        let state = if *stopped { "stopped" } else { "running" };
        let secrets = if *secret_missing { "\n  secrets: {KEY: {env: MISSING}}" } else { "" };
        yaml += &format!(
            "---\napiVersion: agentpod.dev/v1\nkind: Pod\nmetadata: {{name: {name}, tenant: t}}\nspec:\n  adapter: echo\n  \
             subdomain: {subdomain}\n  state: {state}\n  config: {{mode: {mode}, greeting: {greeting}}}{secrets}\n"
        );
    }
    let (manifests, problems) = manifest::read([("t.yaml", yaml.as_bytes())]);
    assert_eq!(problems, [], "{yaml}");
    desired::build(&manifests, &ADAPTERS, &site(), &BTreeMap::new(), &BTreeMap::new()).unwrap()
}
