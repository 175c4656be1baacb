//! The manifests of a commit, read from git's objects: nothing is checked out. Looks at names, and reads the content of
//! manifests alone. Links are followed within the commit and never out of it.

use std::collections::BTreeMap;

use git2::{ObjectType, Odb, Oid, Repository};

use super::find_path::{self, FoundPath, LINK, PathKind, PathNotFound};
use crate::{
    core::{
        declare::document::{MAX_FILE_BYTES, too_large},
        problem::Problem,
    },
    source::{
        MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_TOTAL_BYTES, SourceError,
        manifests::{is_manifest, whole},
        survey::is_hidden,
    },
};

/// How a file begins that stands for one in Git LFS.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// All manifests below a folder of a tree. The outer error is about the repository, the inner about what is in it.
pub(super) fn read(
    repository: &Repository,
    root: Oid,
    path: &str,
    origin: &str,
) -> Result<Result<BTreeMap<String, Vec<u8>>, SourceError>, git2::Error> {
    let refused = |what: String, hint: &str| {
        let problems = vec![Problem::of_file(path, what).hint(hint)];
        Ok(Err(SourceError::Refused { origin: origin.to_owned(), problems }))
    };
    let start = match find_path::find(repository, root, &[], path)? {
        Ok(FoundPath { kind: PathKind::Folder, id, path }) => (id, path),
        Ok(FoundPath { kind: PathKind::File, .. }) => {
            return refused("this is a file".into(), "name the folder by --git-path");
        }
        Ok(FoundPath { kind: PathKind::Submodule, .. }) => {
            return refused("this is a submodule".into(), "name the submodule's own repository by --git");
        }
        Err(astray) => {
            let what = match astray {
                PathNotFound::Nowhere(_) => "there is no such folder in the newest commit".to_owned(),
                _ => format!("a link on the way {}", astray.sentence()),
            };
            return refused(what, "put it back, or name another folder by --git-path; nothing is changed until then");
        }
    };
    let odb = repository.odb()?;
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
    walk.folder(start.0, start.1, "")?;
    let TreeWalk { files, mut problems, .. } = walk;
    problems.sort();
    if !problems.is_empty() {
        return Ok(Err(SourceError::Refused { origin: origin.to_owned(), problems }));
    }
    Ok(whole(origin.to_owned(), files, "Push a .yaml file there, or name the right folder by --git-path."))
}

struct TreeWalk<'a> {
    repository: &'a Repository,
    odb: &'a Odb<'a>,
    root: Oid,
    origin: &'a str,
    files: BTreeMap<String, Vec<u8>>,
    problems: Vec<Problem>,
    /// The folders from the root down to where the walk is, by their real paths.
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

    /// Stops the walk: more of the same would be no news.
    fn stop(&mut self, what: String) {
        self.full = true;
        self.problem("", what, "is this the right folder? Name a smaller one by --git-path, or split it");
    }

    fn folder(&mut self, id: Oid, real: Vec<String>, name: &str) -> Result<(), git2::Error> {
        if self.above.contains(&real) {
            let hint = "remove it, or let it lead somewhere else";
            self.problem(name, "this link leads in a circle: to a folder that it is in", hint);
            return Ok(());
        }
        if self.above.len() > MAX_DEPTH {
            self.problem(name, format!("folders nest more than {MAX_DEPTH} deep here"), "move it up");
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
            let is_plain = entry.name().is_ok() && !text.contains(|c: char| c.is_control() || c == '/');
            let is_link = entry.filemode() == LINK;
            let found = if is_link {
                match find_path::find(self.repository, self.root, &real, &text)? {
                    Ok(found) => found,
                    Err(astray) => {
                        self.lost(&below, &astray);
                        continue;
                    }
                }
            } else {
                let Some(kind) = PathKind::of(entry.kind()) else { continue };
                FoundPath { kind, id: entry.id(), path: [real.as_slice(), &[text]].concat() }
            };
            if !is_plain && (is_manifest(&below) || found.kind == PathKind::Folder) {
                let hint = "rename it; letters, digits, - and _ are safe";
                self.problem(&below.replace(char::is_control, "?"), "its name is not readable text", hint);
                continue;
            }
            match found.kind {
                PathKind::Folder => self.folder(found.id, found.path, &below)?,
                PathKind::File if is_manifest(&below) => self.file(found.id, &below)?,
                PathKind::File => {}
                // A folder that becomes a submodule looks as if all in it had been removed.
                PathKind::Submodule => self.problem(
                    &below,
                    "this is a submodule: what is in it is not part of this repository",
                    "put the manifests into the repository itself, or move the submodule out of the folder of manifests",
                ),
            }
        }
        self.above.pop();
        Ok(())
    }

    fn lost(&mut self, name: &str, astray: &PathNotFound) {
        let hint = match astray {
            PathNotFound::Leaves(_) => "copy what it leads to into the repository; only links within it are followed",
            PathNotFound::Nowhere(_) => "remove the link, or put back what it leads to",
            PathNotFound::Circle => "remove it, or let it lead to a file",
        };
        self.problem(name, format!("this link {}", astray.sentence()), hint);
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
            self.stop(format!("its files have more than {} MiB together", MAX_TOTAL_BYTES >> 20));
            return Ok(());
        }
        let object = self.odb.read(id)?;
        if object.kind() != ObjectType::Blob {
            return Err(git2::Error::from_str("an object is not what its tree says"));
        }
        if object.data().starts_with(LFS) {
            let hint = "take manifests out of Git LFS: git lfs untrack, then commit the file itself";
            self.problem(name, "this is a pointer of Git LFS, not the file itself", hint);
            return Ok(());
        }
        self.files.insert(name.to_owned(), object.data().to_vec());
        Ok(())
    }
}
