//! Checks that pods refer only to secrets that are set aside for their tenant. Reads no file: where links lead is checked when
//! a secret is read.

use super::{manifest::Manifests, resolve::Resolved};
use crate::core::{
    problem::{Position, Problem, Problems},
    secret::{RefusedReference, SecretRoots},
};

/// Adds the problems of references that lead where they may not.
pub(super) fn check(manifests: &Manifests, resolved: &Resolved, roots: &SecretRoots, problems: &mut Problems) {
    for (id, pod) in &resolved.pods {
        for (name, reference) in &pod.secrets {
            let Some(RefusedReference { what, hint }) = roots.refusal(reference, &id.tenant) else { continue };
            let Some(declared) = manifests.pods.get(id) else { continue };
            let source = if reference.env.is_some() { "env" } else { "file" };
            let own = declared
                .document
                .root
                .get(&["spec", "secrets", name, source])
                .map(|node| (&declared.document, node.at));
            let by_default = || {
                let document = &manifests.defaults.as_ref()?.document;
                let adapter = pod.adapter.metadata.name.as_str();
                Some((document, document.root.get(&["spec", "secrets", adapter, name, source])?.at))
            };
            let problem: Problem = match own.or_else(by_default) {
                Some((document, at)) => document.problem(at, what),
                None => declared.document.problem(Position { line: 1, column: 1 }, what),
            };
            problems.push(problem.hint(hint));
        }
    }
}
