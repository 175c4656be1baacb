//! One check of the remote, from its list of references to the manifests of its newest commit. It blocks, so it runs in its
//! own thread.

use std::{path::Path, time::Instant};

use git2::{ObjectType, Oid, Repository};
use time::OffsetDateTime;

use super::{
    access::FetchCredentials,
    cache,
    fetch_error::FetchError,
    remote::{self, Depth},
    settings::GitSettings,
    shown::{person, plain},
    tree, verify,
};
use crate::{
    core::{declare::commit::Commit, digest::Digest},
    source::{Snapshot, SourceError},
};

/// The result for a tip and a set of signers; the same inputs give the same result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckedTip {
    tip: Oid,
    signers: Option<Digest>,
    /// The manifests of the tip, or why it is refused.
    pub(crate) outcome: Result<Snapshot, SourceError>,
    /// The tip's commit.
    pub(crate) commit: Commit,
}

/// Checks the remote. `before` is the result of the last check, which is returned again if nothing changed.
pub(super) fn check(
    settings: &GitSettings,
    before: Option<CheckedTip>,
    deadline: Instant,
) -> Result<CheckedTip, SourceError> {
    let mut access = FetchCredentials::default();
    let outcome = FetchCredentials::read(settings).and_then(|read| {
        access = read;
        let signers = settings.signers.as_deref().map(verify::signers).transpose()?;
        let folder = cache::folder(settings);
        let attempt = |repository: Repository, before: Option<CheckedTip>| {
            let digest = signers.as_ref().map(|file| file.digest.clone());
            let is_cached =
                |tip| before.as_ref().is_some_and(|checked| checked.tip == tip) || is_cached(&repository, tip);
            let tip = remote::fetch(&repository, settings, &access, deadline, Depth::Newest, is_cached)?.id;
            match before {
                Some(checked) if checked.tip == tip && checked.signers == digest => Ok(checked),
                _ => {
                    let who = signers.as_ref().map(|file| &file.signers).zip(settings.signers.as_deref());
                    let CheckedCommit { outcome, commit } = read_tip(&repository, settings, tip, who)?;
                    cache::record(&repository, tip)?;
                    Ok(CheckedTip { tip, signers: digest, outcome, commit })
                }
            }
        };
        match cache::open(&folder).and_then(|repository| attempt(repository, before)) {
            // Whatever is wrong with the cache: everything in it can be fetched again.
            Err(FetchError::Cache(error)) => {
                tracing::info!("fetching everything from {} again: {}", settings.address, error.message());
                cache::recreate(&folder).and_then(|repository| attempt(repository, None))
            }
            outcome => outcome,
        }
    });
    outcome.map_err(|error| error.into_error(&settings.origin(), &access.secrets))
}

/// Whether a tip is cached, at least its root folder.
pub(super) fn is_cached(repository: &Repository, tip: Oid) -> bool {
    repository.find_object(tip, None).and_then(|tip| tip.peel_to_tree()).is_ok()
}

/// A commit, and its manifests or why it is refused.
struct CheckedCommit {
    outcome: Result<Snapshot, SourceError>,
    commit: Commit,
}

/// Verifies and reads a fetched tip.
fn read_tip(
    repository: &Repository,
    settings: &GitSettings,
    tip: Oid,
    signers: Option<(&super::signers::Signers, &Path)>,
) -> Result<CheckedCommit, FetchError> {
    let object = repository.find_object(tip, None).map_err(FetchError::Cache)?;
    let found = object.peel(ObjectType::Commit).map_err(FetchError::Cache)?;
    let found = repository.find_commit(found.id()).map_err(FetchError::Cache)?;
    let commit = describe(&found);
    if let Some((signers, file)) = signers {
        match verify::check(repository, tip, &commit, signers, file) {
            Ok(()) => {}
            Err(error @ FetchError::Cache(_)) => return Err(error),
            Err(error) => {
                return Ok(CheckedCommit { outcome: Err(error.into_error(&settings.origin(), &[])), commit });
            }
        }
    }
    let origin = settings.origin();
    let outcome = match tree::read(repository, found.tree_id(), &settings.path, &origin) {
        Ok(files) => Ok(Snapshot::new(origin, files).with_commit(commit.clone())),
        Err(FetchError::Refused(error)) => Err(error),
        Err(error) => return Err(error),
    };
    Ok(CheckedCommit { outcome, commit })
}

/// A commit for people, with control characters replaced since its author can write anything.
fn describe(commit: &git2::Commit<'_>) -> Commit {
    let committed_at = OffsetDateTime::from_unix_timestamp(commit.time().seconds());
    Commit {
        id: commit.id().to_string(),
        author: person(&commit.author()),
        summary: plain(commit.summary_bytes().unwrap_or_default()),
        committed_at: committed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}
