//! Finding a path in a commit's tree the way a file system would, links followed; but never out of the tree.

use std::collections::VecDeque;

use git2::{ObjectType, Oid, Repository};

/// The mode of a link.
pub(super) const LINK: i32 = 0o120_000;
/// How many links one path may lead over, and how long a link may be.
const MOST_LINKS: usize = 40;
const MOST_BYTES: usize = 4096;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    Folder,
    File,
    Submodule,
}

/// Something that was found.
#[derive(Debug)]
pub(super) struct FoundPath {
    pub kind: PathKind,
    pub id: Oid,
    /// Its real path, links followed.
    pub path: Vec<String>,
}

/// Why nothing was found.
#[derive(Debug)]
pub(super) enum PathNotFound {
    /// A link leads there, out of the repository.
    Leaves(String),
    /// Nothing is there.
    Nowhere(String),
    /// Links lead to each other.
    Circle,
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

impl PathNotFound {
    /// As a sentence's end, after "this link".
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Leaves(target) => format!("leads out of the repository, to {target}"),
            Self::Nowhere(path) => format!("leads to {path}, which does not exist"),
            Self::Circle => "leads in a circle".into(),
        }
    }
}

/// What is at `path`, seen from the folder `from`. The outer error is about the repository.
pub(super) fn find(
    repository: &Repository,
    root: Oid,
    from: &[String],
    path: &str,
) -> Result<Result<FoundPath, PathNotFound>, git2::Error> {
    let mut done: Vec<(String, Oid)> = Vec::new();
    let mut todo: VecDeque<String> = from.iter().cloned().chain(path.split('/').map(str::to_owned)).collect();
    let (mut links, mut last) = (0, path.to_owned());
    while let Some(part) = todo.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." if done.pop().is_none() => return Ok(Err(PathNotFound::Leaves(last))),
            ".." => continue,
            _ => {}
        }
        let tree = repository.find_tree(done.last().map_or(root, |(_, id)| *id))?;
        let Some(entry) = tree.get_name(&part) else { return Ok(Err(PathNotFound::Nowhere(last))) };
        if entry.filemode() == LINK {
            links += 1;
            let (size, _) = repository.odb()?.read_header(entry.id())?;
            if links > MOST_LINKS || size > MOST_BYTES {
                return Ok(Err(PathNotFound::Circle));
            }
            last = String::from_utf8_lossy(repository.find_blob(entry.id())?.content()).replace(char::is_control, "?");
            if last.starts_with('/') {
                return Ok(Err(PathNotFound::Leaves(last)));
            }
            last.split('/').rev().for_each(|part| todo.push_front(part.to_owned()));
            continue;
        }
        let rest = todo.iter().any(|part| !matches!(part.as_str(), "" | "."));
        let names = || done.iter().map(|(name, _)| name.clone()).chain([part.clone()]).collect();
        match PathKind::of(entry.kind()) {
            Some(PathKind::Folder) => done.push((part, entry.id())),
            Some(PathKind::Submodule) => {
                return Ok(Ok(FoundPath { kind: PathKind::Submodule, id: entry.id(), path: names() }));
            }
            Some(PathKind::File) if !rest => {
                return Ok(Ok(FoundPath { kind: PathKind::File, id: entry.id(), path: names() }));
            }
            _ => return Ok(Err(PathNotFound::Nowhere(last))),
        }
    }
    let id = done.last().map_or(root, |(_, id)| *id);
    Ok(Ok(FoundPath { kind: PathKind::Folder, id, path: done.into_iter().map(|(name, _)| name).collect() }))
}
