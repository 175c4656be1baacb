//! Digests: a hash of everything that, when changed, must replace a container (or re-upload a file).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A SHA-256 hash in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of a value's JSON, which is canonical since maps in the core are sorted.
    ///
    /// # Panics
    /// If a map's keys are not strings, which no type of the core has.
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).expect("core types serialise: their map keys are strings");
        Self::of_bytes(&text)
    }

    /// The digest of bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
        Self(hex::encode(hash))
    }

    /// The digest of files by path below `prefix`: that of the lines that `sha256sum` prints, so that it can be checked by
    /// hand.
    pub fn of_files(prefix: &str, files: &BTreeMap<String, Vec<u8>>) -> Self {
        let line = |(name, bytes): (&String, &Vec<u8>)| format!("{}  {prefix}{name}\n", Self::of_bytes(bytes).as_str());
        Self::of_bytes(files.iter().map(line).collect::<String>().as_bytes())
    }

    /// A digest from a label, which can be any text.
    pub fn from_label(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The full digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, which tell a pod's containers apart.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}
