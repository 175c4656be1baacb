//! The bare repository that fetched commits are kept in, below the state directory. It can be thrown away at any time:
//! everything in it can be fetched again.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use git2::{Oid, Repository};

use super::{fetch_error::FetchError, settings::GitSettings};
use crate::core::digest::Digest;

/// Each fetch adds a pack and nothing joins them: with so many, fetching all anew is cheaper.
const MOST_PACKS: usize = 50;
/// What was fetched last, so that the next fetch brings only what is new.
const TIP: &str = "refs/agentpod/tip";

/// Where the repository is kept.
pub(super) fn folder(settings: &GitSettings) -> PathBuf {
    let name = Digest::of_bytes(settings.address.as_str().as_bytes());
    settings.caches.join(&name.as_str()[..16])
}

/// Where the repository is kept that commits are added to: one with all commits, so another one.
pub(super) fn folder_for_edits(settings: &GitSettings) -> PathBuf {
    folder(settings).with_extension("edits")
}

/// Opens it, or makes an empty one in place of whatever cannot be opened.
pub(super) fn open(folder: &Path) -> Result<Repository, FetchError> {
    if let Ok(repository) = Repository::open_bare(folder)
        && packs(folder) <= MOST_PACKS
    {
        return Ok(repository);
    }
    anew(folder)
}

/// Makes an empty one.
pub(super) fn anew(folder: &Path) -> Result<Repository, FetchError> {
    let made = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => DirBuilder::new().recursive(true).mode(0o700).create(folder),
    };
    made.map_err(|error| {
        let what = format!("{}, where commits are kept, cannot be made: {error}", folder.display());
        FetchError::known(
            "source_failed",
            what,
            "give AgentPod the right to write there, or choose another --state-dir",
        )
    })?;
    Repository::init_bare(folder).map_err(FetchError::Cache)
}

/// Remembers what was fetched.
pub(super) fn keep(repository: &Repository, tip: Oid) -> Result<(), FetchError> {
    repository.reference(TIP, tip, true, "fetched").map(drop).map_err(FetchError::Cache)
}

fn packs(folder: &Path) -> usize {
    let Ok(files) = fs::read_dir(folder.join("objects/pack")) else { return 0 };
    files.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "pack")).count()
}
