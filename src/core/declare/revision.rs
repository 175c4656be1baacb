//! Validates a whole revision: manifests and adapters that parse, resolve and render together. Rounds, `agentpod validate`
//! and edits on the dashboard all use it.

use std::collections::BTreeMap;

use super::{
    adapter::{self, AdapterFiles, Adapters},
    desired,
    manifest::{self, Manifests},
};
use crate::core::{problem::Problem, site::Site};

/// A revision without problems.
#[derive(Debug)]
pub(crate) struct ValidRevision {
    /// The parsed manifests.
    pub(crate) manifests: Manifests,
    /// The adapters it was validated with.
    pub(crate) adapters: Adapters,
}

/// Parses and builds everything, or returns every problem. `origin` names the source, for people.
pub(crate) fn validate<'a>(
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
            Problem::of_file(origin, "no tenants or pods are declared")
                .hint("to remove everything, remove the pods one by one; an empty source is never taken literally"),
        );
    }
    if problems.is_empty()
        && let Err(found) = desired::build(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new())
    {
        problems = found;
    }
    if problems.is_empty() { Ok(ValidRevision { manifests, adapters }) } else { Err(problems) }
}
