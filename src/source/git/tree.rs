//! Reads the manifests of a commit from git's objects, without a checkout. It reads no other files. Links are followed
//! within the commit only.

use std::collections::BTreeMap;

use git2::{ObjectType, Odb, Oid, Repository};

use super::{
    fetch_error::FetchError,
    find_path::{self, FindError, FoundPath, LINK, PathKind, PathNotFound},
};
use crate::{
    core::{
        declare::document::{MAX_FILE_BYTES, too_large},
        printable::is_invisible,
        problem::Problem,
    },
    source::{
        MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_TOTAL_BYTES, SourceError,
        manifests::{check_set, is_manifest},
        survey::is_hidden,
    },
};

/// The first bytes of a Git LFS pointer.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Reads all manifests below a folder of a tree.
pub(super) fn read(
    repository: &Repository,
    root: Oid,
    path: &str,
    origin: &str,
) -> Result<BTreeMap<String, Vec<u8>>, FetchError> {
    let refused = |what: String, hint: &str| {
        let problems = vec![Problem::of_file(path, what).hint(hint)];
        Err(FetchError::Refused(SourceError::Refused { origin: origin.to_owned(), problems }))
    };
    let start = match find_path::find(repository, root, &[], path) {
        Ok(FoundPath { kind: PathKind::Folder, id, path }) => (id, path),
        Ok(FoundPath { kind: PathKind::File, .. }) => {
            return refused("this is a file".into(), "name the folder with --git-path");
        }
        Ok(FoundPath { kind: PathKind::Submodule, .. }) => {
            return refused("this is a submodule".into(), "name the submodule's own repository with --git");
        }
        Err(FindError::Git(error)) => return Err(FetchError::Cache(error)),
        Err(FindError::NotFound(error)) => {
            let what = match error {
                PathNotFound::Missing(_) => "there is no such folder in the newest commit".to_owned(),
                _ => format!("a link on the way {error}"),
            };
            return refused(what, "restore it, or name another folder with --git-path; nothing is changed until then");
        }
    };
    let odb = repository.odb().map_err(FetchError::Cache)?;
    let mut walk = TreeWalk {
        repository,
        odb: &odb,
        root,
        origin,
        files: BTreeMap::new(),
        problems: Vec::new(),
        above: Vec::new(),
        entries: 0,
        bytes: 0,
        full: false,
    };
    walk.folder(start.0, start.1, "").map_err(FetchError::Cache)?;
    let TreeWalk { files, mut problems, .. } = walk;
    problems.sort();
    if !problems.is_empty() {
        return Err(FetchError::Refused(SourceError::Refused { origin: origin.to_owned(), problems }));
    }
    let hint = "Push a .yaml file there, or name another folder with --git-path.";
    check_set(origin.to_owned(), files, hint).map_err(FetchError::Refused)
}

struct TreeWalk<'a> {
    repository: &'a Repository,
    odb: &'a Odb<'a>,
    root: Oid,
    origin: &'a str,
    files: BTreeMap<String, Vec<u8>>,
    problems: Vec<Problem>,
    /// The folders from the root to the current one, by real path.
    above: Vec<Vec<String>>,
    entries: usize,
    bytes: u64,
    full: bool,
}

impl TreeWalk<'_> {
    fn problem(&mut self, name: &str, what: impl Into<String>, hint: impl Into<String>) {
        let file = if name.is_empty() { self.origin } else { name };
        self.problems.push(Problem::of_file(file, what).hint(hint));
    }

    /// Stops the walk, since further problems would say the same.
    fn stop(&mut self, what: String) {
        self.full = true;
        self.problem("", what, "check that this is the right folder; name a smaller one with --git-path, or split it");
    }

    fn folder(&mut self, id: Oid, real: Vec<String>, name: &str) -> Result<(), git2::Error> {
        if self.above.contains(&real) {
            let hint = "remove it, or point it elsewhere";
            self.problem(name, "this link is a loop: it points to a folder that contains it", hint);
            return Ok(());
        }
        if self.above.len() > MAX_DEPTH {
            self.problem(name, format!("folders are nested more than {MAX_DEPTH} levels deep here"), "move it up");
            return Ok(());
        }
        let tree = self.repository.find_tree(id)?;
        self.entries += tree.len();
        if self.entries > MAX_ENTRIES {
            self.stop(format!("there are more than {MAX_ENTRIES} files and folders in it"));
            return Ok(());
        }
        self.above.push(real.clone());
        for entry in tree.iter().filter(|entry| !is_hidden(entry.name_bytes())) {
            if self.full {
                break;
            }
            let text = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let below = if name.is_empty() { text.clone() } else { format!("{name}/{text}") };
            let is_plain = entry.name().is_ok() && !text.contains(|c: char| is_invisible(c) || c == '/');
            let is_link = entry.filemode() == LINK;
            let found = if is_link {
                match find_path::find(self.repository, self.root, &real, &text) {
                    Ok(found) => found,
                    Err(FindError::Git(error)) => return Err(error),
                    Err(FindError::NotFound(error)) => {
                        self.broken_link(&below, &error);
                        continue;
                    }
                }
            } else {
                let Some(kind) = PathKind::of(entry.kind()) else { continue };
                FoundPath { kind, id: entry.id(), path: [real.as_slice(), &[text]].concat() }
            };
            if !is_plain && (is_manifest(&below) || found.kind == PathKind::Folder) {
                let hint = "rename it; use letters, digits, - and _";
                self.problem(&below.replace(is_invisible, "?"), "its name is not valid text", hint);
                continue;
            }
            match found.kind {
                PathKind::Folder => self.folder(found.id, found.path, &below)?,
                PathKind::File if is_manifest(&below) => self.file(found.id, &below)?,
                PathKind::File => {}
                // If a folder becomes a submodule, everything in it looks removed.
                PathKind::Submodule => self.problem(
                    &below,
                    "this is a submodule, whose files are not part of this repository",
                    "move the manifests into this repository, or the submodule out of the folder",
                ),
            }
        }
        self.above.pop();
        Ok(())
    }

    fn broken_link(&mut self, name: &str, error: &PathNotFound) {
        let hint = match error {
            PathNotFound::Outside(_) => "copy the target into the repository; only links within it are followed",
            PathNotFound::Missing(_) => "remove the link, or restore its target",
            PathNotFound::Loop => "remove it, or point it to a file",
        };
        self.problem(name, format!("this link {error}"), hint);
    }

    fn file(&mut self, id: Oid, name: &str) -> Result<(), git2::Error> {
        let (size, _) = self.odb.read_header(id)?;
        if size as u64 > MAX_FILE_BYTES {
            self.problems.push(too_large(name, size as u64));
            return Ok(());
        }
        if self.files.len() == MAX_FILES {
            self.stop(format!("there are more than {MAX_FILES} files in it"));
            return Ok(());
        }
        self.bytes += size as u64;
        if self.bytes > MAX_TOTAL_BYTES {
            self.stop(format!("its files have more than {} MiB in total", MAX_TOTAL_BYTES >> 20));
            return Ok(());
        }
        let object = self.odb.read(id)?;
        if object.kind() != ObjectType::Blob {
            return Err(git2::Error::from_str("an object does not have the type that its tree states"));
        }
        if object.data().starts_with(LFS_POINTER) {
            let hint = "take the manifests out of Git LFS: git lfs untrack, then commit the files themselves";
            self.problem(name, "this is a Git LFS pointer, not the file itself", hint);
            return Ok(());
        }
        self.files.insert(name.to_owned(), object.data().to_vec());
        Ok(())
    }
}
