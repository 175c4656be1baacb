//! Secrets as the core sees them: where each comes from and a keyed fingerprint of its value, never the value itself.
//! It knows the outside of an age file, so that one that cannot be right is found without any key; it opens none.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret's value stands. Exactly one of the fields is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[schemars(
    description = "Where the value stands: {env: NAME} in AgentPod's own environment, {file: /absolute/path}, or {age: …}, the value itself, encrypted."
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
    /// The value itself, encrypted to an age recipient of AgentPod's: what `agentpod secret encrypt` prints, or the
    /// same in base64 on one line. One line end at its end is not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
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
        match (&self.env, &self.file, &self.age) {
            (Some(name), ..) => write!(f, "the environment variable {name}"),
            (None, Some(path), _) => write!(f, "the file {path}"),
            (None, None, Some(_)) => f.write_str("its age-encrypted value"),
            (None, None, None) => f.write_str("nowhere"),
        }
    }
}

/// How an armored age file begins and ends.
const ARMOR: (&str, &str) = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----");
/// How every age file begins, in the clear.
const AGE_V1: &[u8] = b"age-encryption.org/v1\n";
const MAKE_ANEW: &str = "make it anew: agentpod secret encrypt";

/// Why a text is no age file that could be opened; never repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAge {
    /// What is wrong.
    pub what: &'static str,
    /// What to do.
    pub hint: &'static str,
}

/// The bytes of an age file written as text: armored, or in base64 alone. Line lengths and indentation do not matter,
/// for YAML changes both.
pub fn age_file(text: &str) -> Result<Vec<u8>, NotAge> {
    let text = text.trim();
    let body = match text.strip_prefix(ARMOR.0) {
        Some(rest) => rest.strip_suffix(ARMOR.1).ok_or(NotAge {
            what: "is cut off: its last line, -----END AGE ENCRYPTED FILE-----, is missing",
            hint: "copy all of it, every line as it is, below age: |",
        })?,
        None => text,
    };
    let body: String = body.split_ascii_whitespace().collect();
    let damaged = NotAge { what: "is damaged", hint: MAKE_ANEW };
    let no_age = NotAge {
        what: "is no age file",
        hint: "what stands here is the value encrypted with age, never the value itself: agentpod secret encrypt makes it",
    };
    let is_armored = body.len() < text.len() && text.starts_with(ARMOR.0);
    let bytes = BASE64_STANDARD.decode(body).map_err(|_| if is_armored { damaged } else { no_age })?;
    let header = bytes.strip_prefix(AGE_V1).ok_or(if is_armored { damaged } else { no_age })?;
    let mut kinds = Vec::new();
    for line in header.split(|byte| *byte == b'\n') {
        if let Some(stanza) = line.strip_prefix(b"-> ") {
            kinds.push(stanza.split(|byte| *byte == b' ').next().unwrap_or_default());
        } else if line.starts_with(b"--- ") {
            break;
        }
    }
    match kinds.as_slice() {
        [] => Err(damaged),
        kinds if kinds.contains(&&b"X25519"[..]) => Ok(bytes),
        kinds if kinds.contains(&&b"scrypt"[..]) => Err(NotAge {
            what: "is encrypted with a passphrase, which nobody is there to type",
            hint: "encrypt it to a recipient: agentpod secret encrypt --recipient age1…",
        }),
        _ => Err(NotAge {
            what: "is encrypted to kinds of keys that AgentPod does not read",
            hint: "encrypt it to a recipient that begins with age1: agentpod secret encrypt --recipient age1…",
        }),
    }
}

/// A keyed hash of a secret's value: equal values give equal fingerprints, nothing leads back to the value.
pub type Fingerprint = String;

/// What is known of every secret that some pod refers to: its fingerprint, or why it could not be read.
pub type Fingerprints = BTreeMap<SecretRef, Result<Fingerprint, String>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stanza: &str) -> String {
        BASE64_STANDARD.encode(format!("age-encryption.org/v1\n-> {stanza} x\nbody\n--- mac\n\u{1}\u{2}payload"))
    }

    #[test]
    fn an_age_file_is_read_armored_folded_indented_or_on_one_line() {
        let line = file("X25519");
        let (first, second) = line.split_at(40);
        for text in [
            line.clone(),
            format!("{}\n{first}\n{second}\n{}\n", ARMOR.0, ARMOR.1),
            format!("  {}\r\n  {first}\r\n  {second}\r\n  {}\r\n", ARMOR.0, ARMOR.1),
            format!("{} {first} {second} {}", ARMOR.0, ARMOR.1),
        ] {
            assert!(age_file(&text).unwrap().starts_with(AGE_V1), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_opened_by_anybody_is_told_apart_without_repeating_it() {
        let cut = format!("{}\n{}", ARMOR.0, file("X25519"));
        let armored = |body: &str| format!("{}\n{body}\n{}", ARMOR.0, ARMOR.1);
        for (text, what) in [
            ("sk-s3cret", "is no age file"),
            ("", "is no age file"),
            ("czNjcmV0", "is no age file"),
            (&cut, "is cut off"),
            (&armored("czNjcmV0"), "is damaged"),
            (&armored("not base64!"), "is damaged"),
            (&armored(&BASE64_STANDARD.encode("age-encryption.org/v1\n--- mac\n")), "is damaged"),
            (&file("scrypt"), "with a passphrase"),
            (&file("ssh-ed25519"), "kinds of keys"),
        ] {
            let NotAge { what: told, hint } = age_file(text).unwrap_err();
            assert!(told.contains(what) && !hint.contains("s3cret"), "{text}: {told}");
        }
    }
}
