//! The settings of a git source: the repository, the branch or tag, the folder, and references to credentials, never
//! credentials themselves.

use std::{path::PathBuf, time::Duration};

use super::address::Address;
use crate::core::secret::SecretRef;

/// The settings of a git source.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// The repository's address.
    pub address: Address,
    /// The branch or tag to follow.
    pub reference: Reference,
    /// The folder of manifests, separated by `/`; empty for the whole repository.
    pub path: String,
    /// How often to fetch.
    pub interval: Duration,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// How to authenticate.
    pub credentials: Credentials,
    /// The known-hosts file; `None` for OpenSSH's own files.
    pub known_hosts: Option<PathBuf>,
    /// The file of allowed signers; `None` to accept unsigned commits.
    pub signers: Option<PathBuf>,
    /// The folder of cached repositories.
    pub cache_dir: PathBuf,
}

/// The branch or tag to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The remote's default branch.
    Head,
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
}

impl Reference {
    /// The full name on the remote.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Head => "HEAD".into(),
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
        }
    }

    /// The short name; `None` for the default branch.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Head => None,
            Self::Branch(name) | Self::Tag(name) => Some(name),
        }
    }
}

/// References to credentials, which are read again for every fetch.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The user name for HTTP.
    pub user: Option<String>,
    /// The token or password for HTTP.
    pub password: Option<SecretRef>,
    /// The private key for SSH.
    pub key: Option<SecretRef>,
    /// The passphrase of the private key.
    pub passphrase: Option<SecretRef>,
}

impl Credentials {
    /// The files of these credentials.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        [&self.password, &self.key, &self.passphrase].into_iter().flatten().filter_map(|one| one.file.as_deref())
    }
}

impl GitSettings {
    /// The source, for people.
    pub(crate) fn origin(&self) -> String {
        let reference = self.reference.name().map(|name| format!("@{name}")).unwrap_or_default();
        let path = if self.path.is_empty() { String::new() } else { format!(" in {}/", self.path) };
        format!("{}{reference}{path}", self.address)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Settings for an address, and nothing else.
    pub(in crate::source::git) fn settings(address: Address) -> GitSettings {
        GitSettings {
            address,
            reference: Reference::Head,
            path: String::new(),
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(20),
            credentials: Credentials::default(),
            known_hosts: None,
            signers: None,
            cache_dir: "/state/git".into(),
        }
    }
}
