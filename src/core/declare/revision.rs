//! Validates a whole revision: manifests and adapters that parse, resolve and render together. Rounds, `agentpod validate`
//! and edits on the dashboard all use it.

use std::collections::BTreeMap;

use super::{
    adapter::{self, AdapterFiles, Adapters},
    desired,
    manifest::{self, Manifests},
};
use crate::core::{
    problem::{Problem, Problems},
    site::Site,
};

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
    let mut problems = Problems::default();
    let adapters = adapter::read_into(adapters, &mut problems);
    let manifests = manifest::read_into(files, &mut problems);
    if problems.is_empty() && manifests.tenants.is_empty() && manifests.pods.is_empty() {
        problems.push(
            Problem::of_file(origin, "no tenants or pods are declared")
                .hint("to remove everything, remove the pods one by one; an empty source is never taken literally"),
        );
    }
    // What is whole is judged in spite of what is broken, so that every problem is reported at once.
    desired::build_into(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new(), &mut problems);
    if problems.is_empty() { Ok(ValidRevision { manifests, adapters }) } else { Err(problems.finish()) }
}

/// The problems of one file by itself. What other files declare is unknown, and nothing is said about it.
pub(crate) fn validate_file(file: &str, bytes: &[u8], adapters: &AdapterFiles, site: &Site) -> Vec<Problem> {
    let mut problems = Problems::default();
    let adapters = adapter::read_into(adapters, &mut problems);
    let mut manifests = manifest::read_into([(file, bytes)], &mut problems);
    manifests.broken.anything = true;
    desired::build_into(&manifests, &adapters, site, &BTreeMap::new(), &BTreeMap::new(), &mut problems);
    problems.finish()
}

#[cfg(test)]
mod tests;
