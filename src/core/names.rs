//! Names, as types that only exist if they are valid.
//!
//! Every name is a DNS label, so that it has no special meaning in a Docker label, a Traefik rule, a path or SQL. A name
//! never contains `_`, which makes it the separator in [`PodId::key`].

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {why}")]
pub struct NameError {
    /// The given text.
    pub(crate) text: String,
    /// The expected kind of name, like `tenant name`.
    pub(crate) kind: &'static str,
    /// The reason.
    pub(crate) why: String,
}

/// The pattern of every name, for JSON Schema.
pub(crate) const LABEL_PATTERN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";

fn check_label(kind: &'static str, max: usize, text: &str) -> Result<(), NameError> {
    let fail = |why: String| NameError { text: text.into(), kind, why };
    if text.is_empty() {
        return Err(fail("it is empty".into()));
    }
    if text.len() > max {
        return Err(fail(format!("it is longer than {max} characters")));
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(fail(format!("{bad:?} is not allowed, only a-z, 0-9 and -")));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(fail("it starts or ends with a hyphen".into()));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check_label($kind, $max, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": LABEL_PATTERN,
                    "maxLength": $max,
                    "description": concat!("A name of lower-case letters, digits and inner hyphens, at most ", $max, " characters."),
                })
            }
        }
    };
}

name_type!(
    /// A tenant's name. It never changes: a rename is a removal and a creation.
    TenantName, "tenant name", 40);
name_type!(
    /// A pod's name, unique within its tenant.
    PodName, "pod name", 40);
name_type!(
    /// The first label of a pod's host name, unique across all tenants.
    Subdomain, "subdomain", 63);
name_type!(
    /// The name of a folder below `adapters/`.
    AdapterName, "adapter name", 40);
name_type!(
    /// The name of an AgentPod, if several share an engine.
    InstanceName, "instance name", 32);

/// A pod's identity, written `tenant/pod`. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodId {
    /// The tenant that owns it.
    pub tenant: TenantName,
    /// Its name within the tenant.
    pub pod: PodName,
}

impl PodId {
    /// The identity of a tenant's pod.
    pub(crate) fn new(tenant: TenantName, pod: PodName) -> Self {
        Self { tenant, pod }
    }

    /// The form `tenant_pod`, for labels, container names and rows.
    pub fn key(&self) -> String {
        format!("{}_{}", self.tenant, self.pod)
    }

    /// Parses [`PodId::key`].
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        let (tenant, pod) = key.split_once('_')?;
        Some(Self::new(tenant.parse().ok()?, pod.parse().ok()?))
    }
}

impl JsonSchema for PodId {
    fn schema_name() -> Cow<'static, str> {
        "PodId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            "maxLength": 81,
            "description": "A pod: tenant/pod.",
        })
    }
}

impl TryFrom<String> for PodId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<PodId> for String {
    fn from(id: PodId) -> String {
        id.to_string()
    }
}

impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.tenant, self.pod))
    }
}

/// Parses `TENANT/POD`.
impl FromStr for PodId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (tenant, pod) = text.split_once('/').ok_or_else(|| NameError {
            text: text.into(),
            kind: "pod",
            why: "write it as TENANT/POD".into(),
        })?;
        Ok(Self::new(tenant.parse()?, pod.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label_and_nothing_else() {
        for good in ["a", "alice", "a-b", "0", "x9"] {
            assert!(good.parse::<TenantName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "a`b", "a.b", "é", "a b", "..", &"x".repeat(41)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_invalid_name_says_what_is_wrong() {
        let error = "al`ice".parse::<Subdomain>().unwrap_err().to_string();
        assert_eq!(error, r#""al`ice" is not a subdomain: '`' is not allowed, only a-z, 0-9 and -"#);
    }

    #[test]
    fn a_pod_key_parses_back_to_the_same_pod() {
        let id: PodId = "a-b/c".parse().unwrap();
        assert_eq!(id.key(), "a-b_c");
        assert_eq!(PodId::from_key(&id.key()), Some(id));
        assert_eq!(PodId::from_key("nonsense"), None);
    }
}
