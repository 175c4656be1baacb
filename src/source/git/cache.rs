//! The bare repository that caches fetched commits, below the state directory. It can be deleted at any time: everything
//! in it can be fetched again.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use git2::{Oid, Repository};

use super::{fetch_error::FetchError, settings::GitSettings};
use crate::core::digest::Digest;

/// Each fetch adds a pack and nothing repacks them: beyond this, fetching everything again is cheaper.
const MAX_PACKS: usize = 50;
/// The last fetched commit, so that the next fetch transfers only what is new.
const TIP: &str = "refs/agentpod/tip";

/// The cache's folder.
pub(super) fn folder(settings: &GitSettings) -> PathBuf {
    let name = Digest::of_bytes(settings.address.as_str().as_bytes());
    settings.cache_dir.join(&name.as_str()[..16])
}

/// The folder of the cache for edits, which has the full history and is therefore separate.
pub(super) fn folder_for_edits(settings: &GitSettings) -> PathBuf {
    folder(settings).with_extension("edits")
}

/// Opens the cache, or replaces it with an empty one if it cannot be opened.
pub(super) fn open(folder: &Path) -> Result<Repository, FetchError> {
    if let Ok(repository) = Repository::open_bare(folder)
        && packs(folder) <= MAX_PACKS
    {
        return Ok(repository);
    }
    recreate(folder)
}

/// Replaces the cache with an empty one.
pub(super) fn recreate(folder: &Path) -> Result<Repository, FetchError> {
    let created = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => DirBuilder::new().recursive(true).mode(0o700).create(folder),
    };
    created.map_err(|error| {
        let what = format!("the cache of commits in {} cannot be created: {error}", folder.display());
        FetchError::new("source_failed", what, "let AgentPod's user write there, or choose another --state-dir")
    })?;
    Repository::init_bare(folder).map_err(FetchError::Cache)
}

/// Records what was fetched.
pub(super) fn record(repository: &Repository, tip: Oid) -> Result<(), FetchError> {
    repository.reference(TIP, tip, true, "fetched").map(drop).map_err(FetchError::Cache)
}

fn packs(folder: &Path) -> usize {
    let Ok(files) = fs::read_dir(folder.join("objects/pack")) else { return 0 };
    files.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "pack")).count()
}
