//! Resolves a path in a commit's tree as a file system would, following links within the tree.

use std::collections::VecDeque;

use git2::{ObjectType, Oid, Repository};

/// The file mode of a symbolic link.
pub(super) const LINK: i32 = 0o120_000;
/// The most links on one path.
const MAX_LINKS: usize = 40;
/// The most bytes of a link's target.
const MAX_LINK_BYTES: usize = 4096;

/// The kind of object at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    Folder,
    File,
    Submodule,
}

/// The object at a path.
#[derive(Debug)]
pub(super) struct FoundPath {
    pub(crate) kind: PathKind,
    pub(crate) id: Oid,
    /// The real path, with links resolved.
    pub(crate) path: Vec<String>,
}

/// Why there is no object at a path. The message is a predicate of the path.
#[derive(Debug, thiserror::Error)]
pub(super) enum PathNotFound {
    #[error("points outside the repository, to {0}")]
    Outside(String),
    #[error("points to {0}, which does not exist")]
    Missing(String),
    #[error("is part of a loop")]
    Loop,
}

/// Why a path could not be resolved.
#[derive(Debug)]
pub(super) enum FindError {
    /// The repository cannot be read.
    Git(git2::Error),
    NotFound(PathNotFound),
}

impl From<git2::Error> for FindError {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

impl From<PathNotFound> for FindError {
    fn from(error: PathNotFound) -> Self {
        Self::NotFound(error)
    }
}

impl PathKind {
    pub(super) fn of(object: Option<ObjectType>) -> Option<Self> {
        match object? {
            ObjectType::Tree => Some(Self::Folder),
            ObjectType::Blob => Some(Self::File),
            ObjectType::Commit => Some(Self::Submodule),
            _ => None,
        }
    }
}

/// Resolves `path`, relative to the folder `from`.
pub(super) fn find(repository: &Repository, root: Oid, from: &[String], path: &str) -> Result<FoundPath, FindError> {
    let mut done: Vec<(String, Oid)> = Vec::new();
    let mut todo: VecDeque<String> = from.iter().cloned().chain(path.split('/').map(str::to_owned)).collect();
    let (mut links, mut last) = (0, path.to_owned());
    while let Some(part) = todo.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." if done.pop().is_none() => return Err(PathNotFound::Outside(last).into()),
            ".." => continue,
            _ => {}
        }
        let tree = repository.find_tree(done.last().map_or(root, |(_, id)| *id))?;
        let Some(entry) = tree.get_name(&part) else { return Err(PathNotFound::Missing(last).into()) };
        if entry.filemode() == LINK {
            links += 1;
            let (size, _) = repository.odb()?.read_header(entry.id())?;
            if links > MAX_LINKS || size > MAX_LINK_BYTES {
                return Err(PathNotFound::Loop.into());
            }
            last = String::from_utf8_lossy(repository.find_blob(entry.id())?.content()).replace(char::is_control, "?");
            if last.starts_with('/') {
                return Err(PathNotFound::Outside(last).into());
            }
            last.split('/').rev().for_each(|part| todo.push_front(part.to_owned()));
            continue;
        }
        let rest = todo.iter().any(|part| !matches!(part.as_str(), "" | "."));
        let names = || done.iter().map(|(name, _)| name.clone()).chain([part.clone()]).collect();
        match PathKind::of(entry.kind()) {
            Some(PathKind::Folder) => done.push((part, entry.id())),
            Some(PathKind::Submodule) => {
                return Ok(FoundPath { kind: PathKind::Submodule, id: entry.id(), path: names() });
            }
            Some(PathKind::File) if !rest => {
                return Ok(FoundPath { kind: PathKind::File, id: entry.id(), path: names() });
            }
            _ => return Err(PathNotFound::Missing(last).into()),
        }
    }
    let id = done.last().map_or(root, |(_, id)| *id);
    Ok(FoundPath { kind: PathKind::Folder, id, path: done.into_iter().map(|(name, _)| name).collect() })
}
