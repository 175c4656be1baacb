//! Speaking with the remote: which commit is the newest, and fetching it when it is not here yet. One connection, and one
//! small request when there is nothing to fetch. Redirects to other hosts are not followed: they would take the
//! credentials along.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use git2::{
    AutotagOption, CertificateCheckStatus, ErrorClass, ErrorCode, FetchOptions, Oid, ProxyOptions, RemoteCallbacks,
    RemoteRedirect, Repository,
};

use super::{
    access::FetchCredentials,
    address::Way,
    fetch_error::{FetchError, NO_REFERENCE, UNREACHABLE},
    hosts,
    settings::{GitSettings, Reference},
};
use crate::source::SourceError;

/// The most bytes one fetch may bring.
const MOST_BYTES: usize = 1 << 30;
/// What no remote has: asking for it only lists what there is.
const NOTHING: &str = "refs/agentpod/nothing";

/// What is followed, as the remote has it.
pub(super) struct Tip {
    /// A commit's id, or that of a tag with a message.
    pub id: Oid,
    /// The full name of the branch or tag; of a remote's own branch the one it stands for, if it says which.
    pub name: String,
}

/// How much of what is followed is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The newest commit: all there is to read.
    Newest,
    /// All commits before it, too: libgit2 pushes nothing from a repository without them.
    All,
}

/// Fetches what is followed, unless it is here already.
pub(super) fn fetch(
    repository: &Repository,
    settings: &GitSettings,
    access: &FetchCredentials,
    deadline: Instant,
    depth: Depth,
    is_known: impl Fn(Oid) -> bool,
) -> Result<Tip, FetchError> {
    // Before the remote, which keeps pointing at them.
    let (reason, asked) = (RefCell::new(None), Cell::new(false));
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks(settings, access, deadline, &reason, &asked));
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    options.proxy_options(proxy).download_tags(AutotagOption::None).follow_redirects(RemoteRedirect::None);
    if let Some(header) = &access.header {
        options.custom_headers(&[header]);
    }
    let mut remote = repository.remote_anonymous(settings.address.as_str()).map_err(FetchError::Cache)?;
    let trouble = |error| reason.take().unwrap_or_else(|| FetchError::with_remote(error, settings));
    remote.download(&[NOTHING], Some(&mut options)).map_err(trouble)?;
    let name = settings.reference.full_name();
    let heads = remote.list().map_err(trouble)?;
    let found = heads.iter().find(|head| head.name() == name);
    let Some(tip) = found.map(|head| Tip { id: head.oid(), name: head.symref_target().unwrap_or(&name).into() }) else {
        return Err(no_reference(settings, heads.iter().map(git2::RemoteHead::name)));
    };
    if !is_known(tip.id) {
        if depth == Depth::Newest && settings.address.way != Way::File {
            options.depth(1);
        }
        remote.download(&[&name], Some(&mut options)).map_err(trouble)?;
    }
    // What was fetched is here; how the remote takes a good-bye does not matter.
    let _ = remote.disconnect();
    Ok(tip)
}

pub(super) fn callbacks<'a>(
    settings: &'a GitSettings,
    access: &'a FetchCredentials,
    deadline: Instant,
    reason: &'a RefCell<Option<FetchError>>,
    asked: &'a Cell<bool>,
) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    if settings.address.way == Way::Ssh {
        callbacks.credentials(move |_, user, kinds| {
            // It asks again and again until it likes what it gets, and we have one key.
            if !kinds.is_username() && asked.replace(true) {
                return Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Ssh, "the key is not accepted"));
            }
            access.for_ssh(user, kinds)
        });
        callbacks.certificate_check(move |certificate, _| {
            let key = certificate.as_hostkey().and_then(|host| host.hostkey());
            let Some(key) = key else { return Err(git2::Error::from_str("the host shows no key")) };
            match hosts::check(settings, key) {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(trouble) => {
                    reason.replace(Some(trouble));
                    Err(git2::Error::from_str("the host's key is not known"))
                }
            }
        });
    }
    let go_on = move |bytes: usize| {
        let why = if bytes > MOST_BYTES {
            format!("it has more than {} MiB", MOST_BYTES >> 20)
        } else if crate::clock::instant() > deadline {
            format!("it took longer than {} s", settings.patience.as_secs())
        } else {
            return true;
        };
        let hint = "use a smaller repository for the manifests, or a faster remote";
        reason.replace(Some(FetchError::known(UNREACHABLE, format!("it could not be fetched: {why}"), hint)));
        false
    };
    callbacks.transfer_progress(move |progress| go_on(progress.received_bytes()));
    callbacks.sideband_progress(move |_| go_on(0));
    callbacks
}

fn no_reference<'a>(settings: &GitSettings, names: impl Iterator<Item = &'a str>) -> FetchError {
    let names: Vec<&str> = names.collect();
    if !names.iter().any(|name| name.starts_with("refs/heads/")) {
        return FetchError::Refused(SourceError::Empty {
            origin: settings.origin(),
            expected: "no commit",
            hint: "Push a branch with manifests, or name the right repository.",
        });
    }
    let listed = |prefix: &str| {
        let found: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(prefix)).take(5).collect();
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    };
    let (what, hint) = match &settings.reference {
        Reference::Head => (
            "its own branch does not exist".to_owned(),
            format!("name one by --git-branch; there are: {}", listed("refs/heads/")),
        ),
        Reference::Branch(name) => (
            format!("there is no branch {name}"),
            format!("push it, or name another by --git-branch; there are: {}", listed("refs/heads/")),
        ),
        Reference::Tag(name) => (
            format!("there is no tag {name}"),
            format!("push it, or name another by --git-tag; there are: {}", listed("refs/tags/")),
        ),
    };
    FetchError::known(NO_REFERENCE, format!("{what}; nothing is changed"), hint)
}
