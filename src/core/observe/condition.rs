//! A condition: a statement about a pod that is true, false or unknown, with its reason.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::report::reason::Reason;

/// The kinds of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionKind {
    /// Its probe succeeds.
    Ready,
    /// Its container was created from what is declared, and has the files that go with it.
    ConfigApplied,
    /// The settings in force for its container are the declared ones, see [`crate::core::observe::hardening`].
    Hardened,
    /// Its host name leads to its container, see [`crate::core::observe::routing`].
    Routed,
}

impl ConditionKind {
    /// Its stable name: in tables, the API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::ConfigApplied => "ConfigApplied",
            Self::Hardened => "Hardened",
            Self::Routed => "Routed",
        }
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no such condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no condition of that name")]
pub struct UnknownCondition;

impl FromStr for ConditionKind {
    type Err = UnknownCondition;
    fn from_str(name: &str) -> Result<Self, UnknownCondition> {
        let all = [Self::Ready, Self::ConfigApplied, Self::Hardened, Self::Routed];
        all.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownCondition)
    }
}

/// A condition of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its kind.
    pub kind: ConditionKind,
    /// Whether it is true; `None`: unknown.
    pub is_true: Option<bool>,
    /// Why, as one word.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
}

impl Condition {
    /// A condition that is true or false.
    pub fn new(kind: ConditionKind, is_true: bool, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, is_true: Some(is_true), reason, message: message.into() }
    }

    /// A condition that is unknown.
    pub fn unknown(kind: ConditionKind, message: impl Into<String>) -> Self {
        Self { kind, is_true: None, reason: Reason::Unknown, message: message.into() }
    }
}
