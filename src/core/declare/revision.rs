//! A revision as a whole: manifests and adapters of one moment that parse, resolve and render together, or everything that
//! is wrong with them. The one judgement for rounds, `agentpod validate` and what is to be added from the dashboard.

use std::collections::BTreeMap;

use super::{
    adapter::{self, AdapterFiles, Adapters},
    desired,
    manifest::{self, Manifests},
};
use crate::core::{problem::Problem, site::Site};

/// A revision that builds whole.
#[derive(Debug)]
pub struct ValidRevision {
    /// What it declares.
    pub manifests: Manifests,
    /// What it was judged with.
    pub adapters: Adapters,
}

/// Parses and builds everything, or says everything that is wrong. `origin` is where the files are, for people.
pub fn judge<'a>(
    origin: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    adapters: &AdapterFiles,
    site: &Site,
) -> Result<ValidRevision, Vec<Problem>> {
    let (adapters, mut problems) = adapter::read(adapters);
    let (manifests, found) = manifest::read(files);
    problems.extend(found);
    if problems.is_empty() && manifests.tenants.is_empty() && manifests.pods.is_empty() {
        problems.push(
            Problem::of_file(origin, "nothing is declared in here")
                .hint("to remove everything, remove pods one by one; an empty source is never taken as a wish"),
        );
    }
    if problems.is_empty()
        && let Err(found) = desired::build(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new())
    {
        problems = found;
    }
    if problems.is_empty() { Ok(ValidRevision { manifests, adapters }) } else { Err(problems) }
}
