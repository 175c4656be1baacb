//! A statement about a pod that is true, false or not known, with its reason: what is written down of it, and shown.
//! Which statements there are and when one holds is told by the modules that make them.

use serde::{Deserialize, Serialize};

/// Whether its container is as closed as it should be, see [`crate::core::observe::hardening`].
pub const HARDENED: &str = "Hardened";
/// Whether its host name leads to its container, see [`crate::core::observe::routing`].
pub const ROUTED: &str = "Routed";

/// The reason of a statement of which nothing is known.
const UNKNOWN: &str = "Unknown";

/// One statement about a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    pub kind: String,
    /// Whether it is so; `None`: not known.
    pub is_true: Option<bool>,
    /// Why, as one word.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
}

impl Condition {
    /// It is so, or it is not.
    pub fn new(kind: &str, is_true: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), is_true: Some(is_true), reason: reason.into(), message: message.into() }
    }

    /// It is not known whether it is so.
    pub fn unknown(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), is_true: None, reason: UNKNOWN.into(), message: message.into() }
    }
}
