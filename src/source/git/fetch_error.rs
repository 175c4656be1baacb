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
    pub(super) fn from_remote(error: git2::Error, settings: &GitSettings) -> Self {
        let message = error.message().trim().trim_end_matches('.').to_owned();
        let host = &settings.address.host;
        let is_denied = error.code() == ErrorCode::Auth
            || message.contains("authentication required")
            || message.contains("status code: 403")
            || message.contains("too many redirects or authentication replays");
        match error.class() {
            _ if is_denied => Self::new(DENIED, format!("{host} refused access: {message}"), denied(settings)),
            _ if error.code() == ErrorCode::Certificate || error.class() == ErrorClass::Ssl => Self::new(
                UNREACHABLE,
                format!("the certificate of {host} is not trusted: {message}"),
                "if it comes from your own authority, set SSL_CERT_FILE to that authority's file",
            ),
            _ if message.contains("status code: 404") => Self::new(
                DENIED,
                "the repository does not exist, or is not visible with these credentials (404)",
                format!("check the address; {}", denied(settings)),
            ),
            ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssh | ErrorClass::Callback => Self::new(
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
            _ => Self::Cache(error),
        }
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

fn denied(settings: &GitSettings) -> String {
    let what = match settings.address.transport {
        Transport::Ssh => "check that the key in --git-ssh-key may read the repository",
        _ if settings.credentials.password.is_some() => {
            "check that the token or password is right and may read the repository"
        }
        _ => "give a token with --git-token-file, or a user and password with --git-user and --git-password-file",
    };
    format!("{what}; credential files are read again for every fetch")
}

/// Replaces credentials in a message.
fn redact(mut text: String, secrets: &[SecretString]) -> String {
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "[credential]");
    }
    text
}
