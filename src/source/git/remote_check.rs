//! One look at the remote, from its list of references to the manifests of its newest commit. Blocks; runs in a thread of
//! its own.

use std::{collections::BTreeMap, path::Path, time::Instant};

use git2::{ObjectType, Oid, Repository};
use time::OffsetDateTime;

use super::{
    access::FetchCredentials,
    cache,
    fetch_error::FetchError,
    remote::{self, Depth},
    settings::GitSettings,
    tree, verify,
};
use crate::{
    core::{declare::commit::Commit, digest::Digest},
    source::{Snapshot, SourceError},
};

/// What was made of a tip, and with which signers: the same again gives the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckedTip {
    tip: Oid,
    signers: Option<Digest>,
    /// What is in the tip, or why it is refused.
    pub outcome: Result<Snapshot, SourceError>,
    /// The commit.
    pub commit: Commit,
}

/// Looks. `before` is what the last look found.
pub(super) fn look(
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
            let digest = signers.as_ref().map(|(_, digest)| digest.clone());
            let known = |tip| before.as_ref().is_some_and(|judged| judged.tip == tip) || is_whole(&repository, tip);
            let tip = remote::fetch(&repository, settings, &access, deadline, Depth::Newest, known)?.id;
            match before {
                Some(judged) if judged.tip == tip && judged.signers == digest => Ok(judged),
                _ => {
                    let who = signers.as_ref().map(|(signers, _)| signers).zip(settings.signers.as_deref());
                    let (outcome, commit) = judge(&repository, settings, tip, who)?;
                    cache::keep(&repository, tip)?;
                    Ok(CheckedTip { tip, signers: digest, outcome, commit })
                }
            }
        };
        match cache::open(&folder).and_then(|repository| attempt(repository, before)) {
            // Whatever is wrong with it: everything in it can be fetched once more.
            Err(FetchError::Cache(error)) => {
                tracing::info!("what was fetched from {} is fetched anew: {}", settings.address, error.message());
                cache::anew(&folder).and_then(|repository| attempt(repository, None))
            }
            outcome => outcome,
        }
    });
    outcome.map_err(|trouble| trouble.into_error(&settings.origin(), &access.secrets))
}

/// Whether a tip is here, at least its first folder.
pub(super) fn is_whole(repository: &Repository, tip: Oid) -> bool {
    repository.find_object(tip, None).and_then(|tip| tip.peel_to_tree()).is_ok()
}

/// What is in a tip that was fetched, or why it is refused.
fn judge(
    repository: &Repository,
    settings: &GitSettings,
    tip: Oid,
    signers: Option<(&super::signers::Signers, &Path)>,
) -> Result<(Result<Snapshot, SourceError>, Commit), FetchError> {
    let object = repository.find_object(tip, None).map_err(FetchError::Cache)?;
    let found = object.peel(ObjectType::Commit).map_err(FetchError::Cache)?;
    let found = repository.find_commit(found.id()).map_err(FetchError::Cache)?;
    let commit = describe(&found);
    if let Some((signers, file)) = signers {
        match verify::check(repository, tip, &commit, signers, file) {
            Ok(()) => {}
            Err(trouble @ FetchError::Cache(_)) => return Err(trouble),
            Err(trouble) => return Ok((Err(trouble.into_error(&settings.origin(), &[])), commit)),
        }
    }
    let origin = settings.origin();
    let files: Result<BTreeMap<_, _>, _> =
        tree::read(repository, found.tree_id(), &settings.path, &origin).map_err(FetchError::Cache)?;
    Ok((files.map(|files| Snapshot::new(origin, files).of(commit.clone())), commit))
}

/// A commit as people are told of it. Its author may have written anything; nothing of it reaches a terminal as it is.
fn describe(commit: &git2::Commit<'_>) -> Commit {
    let plain = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect::<String>()
    };
    let author = commit.author();
    let committed_at = OffsetDateTime::from_unix_timestamp(commit.time().seconds());
    Commit {
        id: commit.id().to_string(),
        author: format!("{} <{}>", plain(author.name_bytes()), plain(author.email_bytes())),
        summary: plain(commit.summary_bytes().unwrap_or_default()),
        committed_at: committed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}
