//! Why a fetch came to nothing, and what to do about it, in words; from what libgit2 says of it. No credential gets into
//! a sentence: what is known of them is taken out, also where a server repeats it.

use git2::{ErrorClass, ErrorCode};
use secrecy::{ExposeSecret, SecretString};

use super::{address::Way, settings::GitSettings};
use crate::source::SourceError;

/// Why a fetch came to nothing.
#[derive(Debug)]
pub(super) enum FetchError {
    /// A sentence is known: a steady word, what, and what to do.
    Known(&'static str, String, String),
    /// Something in the cache cannot be right.
    Cache(git2::Error),
    /// What was fetched cannot be taken.
    Refused(SourceError),
}

pub(super) const UNREACHABLE: &str = "source_unreachable";
pub(super) const DENIED: &str = "source_denied";
pub(super) const UNKNOWN_HOST: &str = "source_unknown_host";
pub(super) const NO_REFERENCE: &str = "source_no_reference";
pub(super) const REFUSED: &str = "source_push_refused";
pub(super) const UNVERIFIED: &str = "source_unverified";

impl FetchError {
    pub(super) fn known(code: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Known(code, what.into(), hint.into())
    }

    /// What an error while speaking with the remote means.
    pub(super) fn with_remote(error: git2::Error, settings: &GitSettings) -> Self {
        let said = error.message().trim().trim_end_matches('.').to_owned();
        let host = &settings.address.host;
        let is_denied = error.code() == ErrorCode::Auth
            || said.contains("authentication required")
            || said.contains("status code: 403")
            || said.contains("too many redirects or authentication replays");
        match error.class() {
            _ if is_denied => Self::known(DENIED, format!("{host} lets us not in: {said}"), denied(settings)),
            _ if error.code() == ErrorCode::Certificate || error.class() == ErrorClass::Ssl => Self::known(
                UNREACHABLE,
                format!("{host} cannot prove that it is {host}: {said}"),
                "if its certificate is from an authority of your own, name that one's file in the variable SSL_CERT_FILE",
            ),
            _ if said.contains("status code: 404") => Self::known(
                DENIED,
                "there is no such repository, or it is hidden from us (404)",
                format!("see whether the address is right; {}", denied(settings)),
            ),
            ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssh | ErrorClass::Callback => Self::known(
                UNREACHABLE,
                format!("it could not be fetched: {said}"),
                format!("it is tried again by itself; see whether {host} can be reached from here"),
            ),
            ErrorClass::Os if settings.address.way == Way::File && said.contains("resolve path") => Self::known(
                UNREACHABLE,
                format!("there is nothing to fetch from: {said}"),
                "see whether the address is right, and whether the user that AgentPod runs as may look there",
            ),
            _ if settings.address.way == Way::File && error.code() != ErrorCode::GenericError => Self::known(
                UNREACHABLE,
                format!("it could not be fetched: {said}"),
                "see whether it is a git repository, and one of the user that AgentPod runs as",
            ),
            _ => Self::Cache(error),
        }
    }

    /// The same for those who read sources.
    pub(super) fn into_error(self, origin: &str, secrets: &[SecretString]) -> SourceError {
        let origin = origin.to_owned();
        match self {
            Self::Known(code, what, hint) => {
                SourceError::Unfetched { origin, code, what: without(what, secrets), hint }
            }
            Self::Cache(error) => SourceError::Unfetched {
                origin,
                code: "source_failed",
                what: without(format!("what was fetched cannot be read: {}", error.message()), secrets),
                hint: "it is fetched anew by itself; see whether the disk of the state directory is healthy".into(),
            },
            Self::Refused(error) => error,
        }
    }
}

fn denied(settings: &GitSettings) -> String {
    let what = match settings.address.way {
        Way::Ssh => "see whether the key in --git-ssh-key is one that may read the repository",
        _ if settings.credentials.password.is_some() => {
            "see whether the token or password is right, and may read the repository"
        }
        _ => "give a token by --git-token-file, or --git-user and --git-password-file",
    };
    format!("{what}; files with credentials are read anew for each fetch")
}

/// A sentence without credentials.
fn without(mut text: String, secrets: &[SecretString]) -> String {
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "[credential]");
    }
    text
}
