//! Talks to the remote: finds the newest commit, and fetches it unless it is cached. One connection, and one small request
//! if there is nothing to fetch.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use git2::{
    AutotagOption, CertificateCheckStatus, ErrorClass, ErrorCode, FetchOptions, Oid, RemoteCallbacks, Repository,
};

use super::{
    access::FetchCredentials,
    address::Transport,
    fetch_error::{FetchError, NO_REFERENCE, Phase, UNREACHABLE},
    hosts,
    http::{HTTP_SCHEME, Session},
    settings::{GitSettings, Reference},
};
use crate::source::SourceError;

/// The most bytes one fetch may transfer.
const MAX_BYTES: usize = 1 << 30;
/// A reference that no remote has: asking for it only lists the others.
const LIST_ONLY: &str = "refs/agentpod/nothing";

/// The followed reference on the remote.
pub(super) struct Tip {
    /// The ID of a commit, or of an annotated tag.
    pub(crate) id: Oid,
    /// The full name of the branch or tag; for HEAD, the branch it points to if the remote says so.
    pub(crate) name: String,
}

/// How much history to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only the newest commit, which is enough to read.
    Newest,
    /// The full history, which libgit2 needs to push.
    All,
}

/// Fetches the followed reference, unless it is cached.
pub(super) fn fetch(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    deadline: Instant,
    depth: Depth,
    is_cached: impl Fn(Oid) -> bool,
) -> Result<Tip, FetchError> {
    // Declared before the remote, which borrows them.
    let (reason, key_sent) = (RefCell::new(None), Cell::new(false));
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks(settings, access, deadline, &reason, &key_sent));
    options.download_tags(AutotagOption::None);
    let session = session(settings, access, deadline)?;
    let _entered = session.as_ref().map(Session::enter);
    let mut remote = repository.remote_anonymous(&url(settings)).map_err(FetchError::Cache)?;
    let explain = |error, phase| {
        let exact = reason.take().or_else(|| session.as_ref().and_then(Session::take_failure));
        exact.unwrap_or_else(|| FetchError::from_remote(error, settings, phase))
    };
    remote.download(&[LIST_ONLY], Some(&mut options)).map_err(|error| explain(error, Phase::Listing))?;
    let name = settings.reference.full_name();
    let heads = remote.list().map_err(|error| explain(error, Phase::Listing))?;
    let found = heads.iter().find(|head| head.name() == name);
    let Some(tip) = found.map(|head| Tip { id: head.oid(), name: head.symref_target().unwrap_or(&name).into() }) else {
        return Err(no_reference(settings, heads.iter().map(git2::RemoteHead::name)));
    };
    if !is_cached(tip.id) {
        if depth == Depth::Newest && settings.address.transport != Transport::File {
            options.depth(1);
        }
        remote.download(&[&name], Some(&mut options)).map_err(|error| explain(error, Phase::Transfer))?;
    }
    // The fetch is complete, so an error of the disconnect does not matter.
    let _ = remote.disconnect();
    Ok(tip)
}

/// The conversation over HTTP, if that is how the repository is reached.
pub(super) fn session(
    settings: &GitSettings,
    access: &FetchCredentials,
    deadline: Instant,
) -> Result<Option<Session>, FetchError> {
    let is_http = matches!(settings.address.transport, Transport::Http | Transport::Https);
    is_http.then(|| Session::new(settings, access, deadline)).transpose()
}

/// The address for libgit2: of HTTP it learns only that there is a session.
pub(super) fn url(settings: &GitSettings) -> String {
    match settings.address.transport {
        Transport::Http | Transport::Https => format!("{HTTP_SCHEME}://repository"),
        Transport::Ssh | Transport::File => settings.address.as_str().to_owned(),
    }
}

pub(super) fn callbacks<'a>(
    settings: &'a GitSettings,
    access: &'a FetchCredentials,
    deadline: Instant,
    reason: &'a RefCell<Option<FetchError>>,
    key_sent: &'a Cell<bool>,
) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    if settings.address.transport == Transport::Ssh {
        callbacks.credentials(move |_, user, kinds| {
            // libgit2 asks again after a refusal, but there is only one key.
            if !kinds.is_username() && key_sent.replace(true) {
                return Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Ssh, "the key is not accepted"));
            }
            access.for_ssh(user, kinds)
        });
        callbacks.certificate_check(move |certificate, _| {
            let key = certificate.as_hostkey().and_then(|host| host.hostkey());
            let Some(key) = key else { return Err(git2::Error::from_str("the host sent no key")) };
            match hosts::verify(settings, key) {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(error) => {
                    reason.replace(Some(error));
                    Err(git2::Error::from_str("the host's key is not trusted"))
                }
            }
        });
    }
    let may_continue = move |bytes: usize| {
        let limit = if bytes > MAX_BYTES {
            format!("it is larger than {} MiB", MAX_BYTES >> 20)
        } else if crate::clock::instant() > deadline {
            format!("it took longer than {} s", settings.timeout.as_secs())
        } else {
            return true;
        };
        let hint = "use a smaller repository, or a faster remote";
        reason.replace(Some(FetchError::new(UNREACHABLE, format!("cannot fetch: {limit}"), hint)));
        false
    };
    callbacks.transfer_progress(move |progress| may_continue(progress.received_bytes()));
    callbacks.sideband_progress(move |_| may_continue(0));
    callbacks
}

fn no_reference<'a>(settings: &GitSettings, names: impl Iterator<Item = &'a str>) -> FetchError {
    let names: Vec<&str> = names.collect();
    if !names.iter().any(|name| name.starts_with("refs/heads/")) {
        return FetchError::Refused(SourceError::Empty {
            origin: settings.origin(),
            expected: "no commit",
            hint: "Push a branch with manifests, or name another repository.",
        });
    }
    let listed = |prefix: &str| {
        let found: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(prefix)).take(5).collect();
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    };
    let (what, hint) = match &settings.reference {
        Reference::Head => (
            "its default branch does not exist".to_owned(),
            format!("name one with --git-branch; there are: {}", listed("refs/heads/")),
        ),
        Reference::Branch(name) => (
            format!("there is no branch {name}"),
            format!("push it, or name another with --git-branch; there are: {}", listed("refs/heads/")),
        ),
        Reference::Tag(name) => (
            format!("there is no tag {name}"),
            format!("push it, or name another with --git-tag; there are: {}", listed("refs/tags/")),
        ),
    };
    FetchError::new(NO_REFERENCE, format!("{what}; nothing was changed"), hint)
}
