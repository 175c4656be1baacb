//! Errors of fetching, made from what libgit2 reports, with what to do about them. Credentials are redacted, even where a
//! server repeats them.

use git2::{ErrorClass, ErrorCode};
use secrecy::{ExposeSecret, SecretString};

use super::{address::Transport, settings::GitSettings};
use crate::source::SourceError;

/// Why a fetch failed.
#[derive(Debug)]
pub(super) enum FetchError {
    /// An explained failure: a stable code, what is wrong, and what to do.
    Failed { code: &'static str, what: String, hint: String },
    /// The cache is damaged.
    Cache(git2::Error),
    /// The fetched files cannot be used.
    Refused(SourceError),
}

pub(super) const UNREACHABLE: &str = "source_unreachable";
pub(super) const DENIED: &str = "source_denied";
pub(super) const UNKNOWN_HOST: &str = "source_unknown_host";
pub(super) const NO_REFERENCE: &str = "source_no_reference";
pub(super) const REFUSED: &str = "source_push_refused";
pub(super) const UNVERIFIED: &str = "source_unverified";

impl FetchError {
    pub(super) fn new(code: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { code, what: what.into(), hint: hint.into() }
    }

    /// Explains an error of the connection to the remote.
    pub(super) fn from_remote(error: git2::Error, settings: &GitSettings, phase: Phase) -> Self {
        let message = error.message().trim().trim_end_matches('.').to_owned();
        if is_about_sha256(&message) {
            return Self::sha256();
        }
        let host = &settings.address.host;
        let is_denied = error.code() == ErrorCode::Auth || message.contains("authentication required");
        match error.class() {
            _ if is_denied => Self::new(DENIED, format!("{host} refused access: {message}"), denied(settings)),
            ErrorClass::Net | ErrorClass::Ssh | ErrorClass::Callback => Self::new(
                UNREACHABLE,
                format!("cannot fetch: {message}"),
                format!("it is tried again automatically; check that {host} can be reached from here"),
            ),
            ErrorClass::Os if settings.address.transport == Transport::File && message.contains("resolve path") => {
                Self::new(
                    UNREACHABLE,
                    format!("the repository cannot be found: {message}"),
                    "check the address, and that AgentPod's user may read it",
                )
            }
            _ if settings.address.transport == Transport::File && error.code() != ErrorCode::GenericError => Self::new(
                UNREACHABLE,
                format!("cannot fetch: {message}"),
                "check that it is a git repository, and that AgentPod's user owns it",
            ),
            _ if phase == Phase::Transfer && is_about_cache(&error, settings) => Self::Cache(error),
            // What the operating system says about a connection, like a refusal or a missing route.
            _ => Self::new(
                UNREACHABLE,
                format!("cannot fetch: {message}"),
                format!("it is tried again automatically; check that {host} can be reached from here"),
            ),
        }
    }

    /// The same for somebody who waits for a commit: nothing is tried again by itself.
    pub(super) fn before_a_commit(self) -> Self {
        match self {
            Self::Failed { code: UNREACHABLE, what, .. } => {
                Self::new(UNREACHABLE, what, "nothing was committed; try again once the remote answers")
            }
            other => other,
        }
    }

    /// A repository with SHA-256 object IDs.
    pub(super) fn sha256() -> Self {
        Self::new(
            UNREACHABLE,
            "cannot fetch: this repository uses SHA-256 object IDs, which AgentPod does not support",
            "keep the manifests in a repository with SHA-1 object IDs, the default of git init",
        )
    }

    /// The error of the source, with these secrets redacted.
    pub(super) fn into_error(self, origin: &str, secrets: &[SecretString]) -> SourceError {
        let origin = origin.to_owned();
        match self {
            Self::Failed { code, what, hint } => {
                SourceError::Unfetched { origin, code, what: redact(what, secrets), hint }
            }
            Self::Cache(error) => SourceError::Unfetched {
                origin,
                code: "source_failed",
                what: redact(format!("the cache of fetched commits cannot be read: {}", error.message()), secrets),
                hint: "it is fetched again automatically; check the disk of the state directory".into(),
            },
            Self::Refused(error) => error,
        }
    }
}

/// A remote's errors, in the order in which libgit2 meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting and listing references. The cache takes no part in it.
    Listing,
    /// Transferring commits into the cache.
    Transfer,
}

pub(super) fn denied(settings: &GitSettings) -> String {
    let what = match settings.address.transport {
        Transport::Ssh => "check that the key in --git-ssh-key may read the repository",
        _ if settings.credentials.password.is_some() => {
            "check that the token or password is right and may read the repository"
        }
        _ => "give a token with --git-token-file, or a user and password with --git-user and --git-password-file",
    };
    format!("{what}; credential files are read again for every fetch")
}

/// Whether an error during a transfer comes from the cache and not from the connection.
fn is_about_cache(error: &git2::Error, settings: &GitSettings) -> bool {
    match error.class() {
        // Of the operating system's errors, only those about files of the cache.
        ErrorClass::Os | ErrorClass::None => error.message().contains(&*settings.cache_dir.to_string_lossy()),
        ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssh | ErrorClass::Ssl | ErrorClass::Callback => false,
        _ => true,
    }
}

/// Whether libgit2 stumbled over a repository with SHA-256 object IDs.
fn is_about_sha256(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["sha256", "objectformat", "object format", "object-format"].iter().any(|name| message.contains(name))
}

/// Replaces credentials in a message.
fn redact(mut text: String, secrets: &[SecretString]) -> String {
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "[credential]");
    }
    text
}
