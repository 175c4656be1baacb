//! The bounds of what people declare in numbers: resources and lengths of time. A value outside of them means something else
//! to the engine than to its author: no processors at all are "no limit" there.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use super::{document::Document, manifest::Resources};
use crate::core::{
    problem::{Position, Problems},
    quantity::{Cpus, Memory, Span},
};

/// What the engine refuses to give a container less of.
const LEAST_CPUS: Cpus = Cpus(10_000_000);
const LEAST_MEMORY: Memory = Memory(6 << 20);
/// More than any machine has.
const MOST_CPUS: Cpus = Cpus(1_024_000_000_000);
const MOST_MEMORY: Memory = Memory(64 << 40);

/// Adds the problems of resources at a path.
pub(crate) fn resources(document: &Document, path: &[&str], given: &Resources, problems: &mut Problems) {
    let place = |key: &'static str| document.root.locate(path.iter().copied().chain([key]));
    let mut check = |key: &'static str, is_less: bool, is_more: bool, given: String, hint: String| {
        let least_or_most = match (is_less, is_more) {
            (true, _) => "less than a container can have",
            (_, true) => "more than a machine has",
            _ => return,
        };
        problems.push(document.problem(place(key), format!("{key} is {given}, {least_or_most}")).hint(hint));
    };
    if let Some(cpus) = given.cpus {
        let hint = format!("set from {LEAST_CPUS} to {MOST_CPUS}, like 2, 0.5 or 500m");
        check("cpus", cpus < LEAST_CPUS, cpus > MOST_CPUS, cpus.to_string(), hint);
    }
    if let Some(memory) = given.memory {
        let hint = format!("set from {LEAST_MEMORY} to {MOST_MEMORY}, like 512Mi or 2Gi");
        check("memory", memory < LEAST_MEMORY, memory > MOST_MEMORY, memory.to_string(), hint);
    }
}

/// A length of time with its bounds.
pub(crate) struct BoundedSpan {
    pub(crate) name: &'static str,
    pub(crate) given: Span,
    pub(crate) least: Span,
    pub(crate) most: Span,
}

/// Adds the problem of a length of time outside of its bounds.
pub(crate) fn span(document: &Document, at: Position, span: &BoundedSpan, problems: &mut Problems) {
    let BoundedSpan { name, given, least, most } = span;
    if (least..=most).contains(&given) {
        return;
    }
    let which = if given < least { "less than allowed" } else { "more than allowed" };
    let problem = document.problem(at, format!("{name} is {given}, {which}"));
    problems.push(problem.hint(format!("set from {least} to {most}")));
}
