//! Secrets as the core sees them: where each value comes from and a keyed fingerprint of it, never the value itself. The
//! core checks the header of an age file, so that mistakes show up without a key; it decrypts nothing.

mod roots;

use std::{collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use roots::SecretRoots;
pub(crate) use roots::{DEFAULT_FOLDERS, DEFAULT_PREFIX, RefusedReference, TENANT};

/// Where a secret's value comes from. Exactly one field is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[schemars(
    description = "Where the value comes from: {env: NAME} from AgentPod's own environment, {file: /absolute/path}, or {age: …}, the encrypted value itself."
)]
pub struct SecretRef {
    /// The name of a variable in AgentPod's own environment: letters, digits and _, not starting with a digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "env_name")]
    pub env: Option<String>,
    /// The absolute path of a file that AgentPod can read; a final line end is not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "absolute_path")]
    pub file: Option<String>,
    /// The value encrypted to one of AgentPod's age recipients: the output of `agentpod secret encrypt`, or the same in
    /// base64 on one line. A final line end is not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
}

fn env_name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": ENV_PATTERN,
        "description": "The name of an environment variable: letters, digits and _, not starting with a digit."})
}

fn absolute_path(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "pattern": "^/", "description": "An absolute path."})
}

/// The rule for names of environment variables.
pub(crate) const ENV_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";

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

/// The value of a generated secret: the same for the same seed and name, and nothing is learned from one about another.
pub(crate) fn generated(seed: &str, name: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed.as_bytes());
    hex::encode(hmac::sign(&key, format!("generated:{name}").as_bytes()))
}

/// The first and last line of an armored age file.
const ARMOR: (&str, &str) = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----");
/// The first line of every age file, unencrypted.
const AGE_V1: &[u8] = b"age-encryption.org/v1\n";
const ENCRYPT_AGAIN: &str = "encrypt the value again: agentpod secret encrypt";

/// Why a text is not an age file that could be decrypted. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it {what}; {hint}")]
pub struct NotAge {
    /// What is wrong, as a predicate: `is damaged`.
    pub(crate) what: &'static str,
    /// What to do.
    pub(crate) hint: &'static str,
}

/// The bytes of an age file that is written as text, armored or in plain base64. Line lengths and indentation do not
/// matter, since YAML changes both.
pub(crate) fn age_file(text: &str) -> Result<Vec<u8>, NotAge> {
    let text = text.trim();
    let body = match text.strip_prefix(ARMOR.0) {
        Some(rest) => rest.strip_suffix(ARMOR.1).ok_or(NotAge {
            what: "is cut off: its last line, -----END AGE ENCRYPTED FILE-----, is missing",
            hint: "copy the whole file below age: |, with every line unchanged",
        })?,
        None => text,
    };
    let body: String = body.split_ascii_whitespace().collect();
    let damaged = NotAge { what: "is damaged", hint: ENCRYPT_AGAIN };
    let no_age = NotAge {
        what: "is not an age file",
        hint: "give the value encrypted with age, never the value itself: agentpod secret encrypt",
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
            what: "is encrypted with a passphrase, which a daemon cannot type",
            hint: "encrypt it to a recipient: agentpod secret encrypt --recipient age1…",
        }),
        _ => Err(NotAge {
            what: "is encrypted to kinds of keys that AgentPod does not support",
            hint: "encrypt it to a recipient that starts with age1: agentpod secret encrypt --recipient age1…",
        }),
    }
}

/// Why a secret has no value. No message quotes any of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("it is not set in AgentPod's environment")]
    NotSet,
    /// The reference does not name exactly one source.
    #[error("the reference must have exactly one of env, file and age")]
    BadReference,
    /// The value is longer than the given number of KiB.
    #[error("it is longer than {0} KiB, the most a secret may have")]
    TooLong(u64),
    /// The value has no bytes.
    #[error("it is empty")]
    Empty,
    /// The value cannot be an environment variable.
    #[error("it contains a NUL byte, which an environment variable cannot hold")]
    NulByte,
    /// The value is not text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// The path depends on the working directory.
    #[error("the path is not absolute; start it with /")]
    RelativePath,
    /// The path, or what it links to, is outside the folders for secrets.
    #[error("it is outside the folders for secrets; move it there, or name another folder with --secrets-dir")]
    OutsideRoots,
    /// The path leads to a file of AgentPod's own.
    #[error("it is a file of AgentPod's own, which no pod gets")]
    OwnFile,
    /// The variable is not one for secrets of pods.
    #[error("it is not a variable for secrets of pods; see --secret-env-prefix")]
    NotForPods,
    /// The path is a folder, a pipe or a device.
    #[error("it is not a regular file; name the file that holds the value")]
    NotAFile,
    /// The path does not exist.
    #[error("there is no such file; create it, or correct the path")]
    Missing,
    /// The file's permissions exclude AgentPod.
    #[error("AgentPod may not read it; let its user (uid {uid}) read the file and enter the folders above it")]
    NotPermitted {
        /// AgentPod's effective user.
        uid: u32,
    },
    /// The system refused to read the file, for the given reason.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The text is not an age file.
    #[error(transparent)]
    NotAge(#[from] NotAge),
    /// The age file was changed or cut off.
    #[error("it is damaged; encrypt the value again: agentpod secret encrypt")]
    Damaged,
    /// No identity can be used, for the given reason.
    #[error("there is no age identity to decrypt it with: {0}")]
    NoIdentity(String),
    /// None of the identities decrypts it.
    #[error("it is encrypted to another recipient; encrypt it to {recipients}{unusable}")]
    OtherRecipient {
        /// The recipients of the identities that can be used.
        recipients: String,
        /// The identities that cannot be used, in parentheses, or nothing.
        unusable: String,
    },
}

/// A keyed hash of a secret's value: equal values have equal fingerprints, and nothing leads back to the value.
pub(crate) type Fingerprint = String;

/// The fingerprint of every secret that a pod refers to, or why it has no value.
pub type Fingerprints = BTreeMap<SecretRef, Result<Fingerprint, SecretError>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stanza: &str) -> String {
        BASE64_STANDARD.encode(format!("age-encryption.org/v1\n-> {stanza} x\nbody\n--- mac\n\u{1}\u{2}payload"))
    }

    #[test]
    fn a_generated_secret_is_the_same_for_a_seed_and_a_name_and_differs_for_every_other() {
        let value = generated("one", "sessionKey");
        assert_eq!(value, generated("one", "sessionKey"));
        assert_eq!(value.len(), 64);
        assert!(value != generated("one", "otherKey") && value != generated("two", "sessionKey"));
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
    fn what_nobody_could_decrypt_is_recognized_without_quoting_it() {
        let cut = format!("{}\n{}", ARMOR.0, file("X25519"));
        let armored = |body: &str| format!("{}\n{body}\n{}", ARMOR.0, ARMOR.1);
        for (text, what) in [
            ("sk-s3cret", "is not an age file"),
            ("", "is not an age file"),
            ("czNjcmV0", "is not an age file"),
            (&cut, "is cut off"),
            (&armored("czNjcmV0"), "is damaged"),
            (&armored("not base64!"), "is damaged"),
            (&armored(&BASE64_STANDARD.encode("age-encryption.org/v1\n--- mac\n")), "is damaged"),
            (&file("scrypt"), "with a passphrase"),
            (&file("ssh-ed25519"), "kinds of keys"),
        ] {
            let NotAge { what: found, hint } = age_file(text).unwrap_err();
            assert!(found.contains(what) && !hint.contains("s3cret"), "{text}: {found}");
        }
    }
}
