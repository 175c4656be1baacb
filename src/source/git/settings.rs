//! What a git source is told: where, which branch or tag, which folder, and where its credentials are. Holds places of
//! credentials, never one itself.

use std::{path::PathBuf, time::Duration};

use super::address::Address;
use crate::core::secret::SecretRef;

/// A git source, as it is set up.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// Where the repository is.
    pub address: Address,
    /// What is followed in it.
    pub reference: Reference,
    /// The folder of manifests in it, with `/` between folders; empty for all of it.
    pub path: String,
    /// How often the remote is asked.
    pub interval: Duration,
    /// How long a fetch may take.
    pub patience: Duration,
    /// What it is reached with.
    pub credentials: Credentials,
    /// The file with the keys of hosts that are trusted; `None` for those SSH itself uses.
    pub known_hosts: Option<PathBuf>,
    /// The file with the keys that may sign; `None` to believe whoever may push.
    pub signers: Option<PathBuf>,
    /// The folder in which repositories are kept.
    pub caches: PathBuf,
}

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The branch that the remote calls its own.
    Head,
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
}

impl Reference {
    /// Its name in the remote's list.
    pub fn full_name(&self) -> String {
        match self {
            Self::Head => "HEAD".into(),
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
        }
    }

    /// The branch or tag by its own name, if it is named.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Head => None,
            Self::Branch(name) | Self::Tag(name) => Some(name),
        }
    }
}

/// Where the credentials are. All of them are read anew for each fetch.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Who we are, for HTTP.
    pub user: Option<String>,
    /// The token or password, for HTTP.
    pub password: Option<SecretRef>,
    /// The private key, for SSH.
    pub key: Option<SecretRef>,
    /// What the key is encrypted with.
    pub passphrase: Option<SecretRef>,
}

impl GitSettings {
    /// Where it is, for people.
    pub fn origin(&self) -> String {
        let reference = self.reference.name().map(|name| format!("@{name}")).unwrap_or_default();
        let path = if self.path.is_empty() { String::new() } else { format!(" in {}/", self.path) };
        format!("{}{reference}{path}", self.address)
    }
}
