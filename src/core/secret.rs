//! Secrets as the core sees them: where each comes from and a keyed fingerprint of its value, never the value itself.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret's value stands. Exactly one of the fields is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[schemars(
    description = "Where the value stands: {env: NAME} in AgentPod's own environment, or {file: /absolute/path}."
)]
pub struct SecretRef {
    /// The name of a variable in AgentPod's own environment: letters, digits and _, not beginning with a digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "env_name")]
    pub env: Option<String>,
    /// The absolute path of a file that AgentPod can read; one line end at its end is not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "absolute_path")]
    pub file: Option<String>,
}

fn env_name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": ENV_PATTERN,
        "description": "The name of an environment variable: letters, digits and _, not beginning with a digit."})
}

fn absolute_path(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": "^/", "description": "An absolute path."})
}

/// The rule for names of environment variables.
pub const ENV_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.env, &self.file) {
            (Some(name), _) => write!(f, "the environment variable {name}"),
            (None, Some(path)) => write!(f, "the file {path}"),
            (None, None) => f.write_str("nowhere"),
        }
    }
}

/// A keyed hash of a secret's value: equal values give equal fingerprints, nothing leads back to the value.
pub type Fingerprint = String;

/// What is known of every secret that some pod refers to: its fingerprint, or why it could not be read.
pub type Fingerprints = BTreeMap<SecretRef, Result<Fingerprint, String>>;
