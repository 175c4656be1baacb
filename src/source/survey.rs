//! One survey of a folder: the matching files with their real paths, and the problems of the others. It opens no file, so
//! that nothing too large is read and no pipe or device is opened.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::SourceError;
use crate::core::{
    declare::document::{MAX_FILE_BYTES, too_large},
    printable::is_invisible,
    problem::Problem,
};

/// The most files a source may have.
pub const MAX_FILES: usize = 10_000;
/// The most bytes its files may have in total.
pub(crate) const MAX_TOTAL_BYTES: u64 = 64 << 20;
/// How deep folders may be nested.
pub const MAX_DEPTH: usize = 32;
/// The most directory entries of any kind.
pub(crate) const MAX_ENTRIES: usize = 100_000;

/// Which files match, and what messages call them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The prefix of a file's path in messages.
    pub(crate) label: &'static str,
    /// Whether a file matches, by its path below the root.
    pub(crate) matches: fn(&str) -> bool,
    /// Whether too many or too large files are problems; a watch ignores the limits.
    pub(crate) limited: bool,
}

/// What identifies one state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What identifies a folder at a path, without its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FolderId {
    device: u64,
    inode: u64,
    rights: (u32, u32, u32),
    born: Option<SystemTime>,
}

/// A file that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// The real path, with links resolved.
    pub(crate) path: PathBuf,
    /// The state it was in.
    pub(crate) stamp: Stamp,
}

/// The result of one survey.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The matching files, by their path below the root.
    pub(crate) files: BTreeMap<String, FoundFile>,
    /// All folders that may contain matching files, by real path.
    pub(crate) folders: BTreeMap<PathBuf, FolderId>,
    /// When each folder's entries last changed.
    pub(crate) folders_changed: BTreeMap<PathBuf, SystemTime>,
    /// Everything that is wrong.
    pub(crate) problems: Vec<Problem>,
    /// A file that disappeared during the survey.
    pub(crate) vanished: Option<String>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The last status change; unlike the modification time it cannot be set back.
    pub(super) fn changed_at(&self) -> SystemTime {
        time(self.changed)
    }
}

impl FolderId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let rights = (metadata.mode(), metadata.uid(), metadata.gid());
        Self { device: metadata.dev(), inode: metadata.ino(), rights, born: metadata.created().ok() }
    }
}

fn time((seconds, nanoseconds): (i64, i64)) -> SystemTime {
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

impl Survey {
    /// The first difference from `other`.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let file = || {
            self.files.iter().find(|(name, found)| other.files.get(*name) != Some(*found)).map(|(name, _)| name.clone())
        };
        let new_file = || other.files.keys().find(|name| !self.files.contains_key(*name)).cloned();
        let folder = || (self.folders != other.folders).then(|| "a folder".to_owned());
        let problem = || (self.problems != other.problems).then(|| "a file".to_owned());
        other.vanished.clone().or_else(file).or_else(new_file).or_else(folder).or_else(problem)
    }
}

/// Surveys everything below `root`, which may be a symlink.
pub(super) fn survey(root: &Path, rules: Rules) -> Result<Survey, SourceError> {
    let origin = root.display().to_string();
    let real = fs::canonicalize(root).and_then(|real| Ok((fs::metadata(&real)?, real)));
    let (metadata, real) = match real {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SourceError::Missing { origin }),
        Err(error) => return Err(SourceError::Refused { problems: vec![io_problem(&origin, root, &error)], origin }),
    };
    if !metadata.is_dir() {
        return Err(SourceError::NotAFolder { origin });
    }
    let mut walk = FolderWalk {
        root: &real,
        origin: &origin,
        rules,
        survey: Survey::default(),
        above: Vec::new(),
        entries: 0,
        bytes: 0,
        full: false,
    };
    walk.folder(&real, "", &metadata);
    Ok(walk.survey)
}

/// The problem for an I/O error, with what to do about it.
pub(super) fn io_problem(file: &str, path: &Path, error: &io::Error) -> Problem {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return Problem::of_file(file, "this link is part of a loop").hint("remove it, or point it to a file");
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let uid = rustix::process::geteuid().as_raw();
            let hint = format!("let AgentPod's user (uid {uid}) read it, for example: chmod -R a+rX {}", quoted(path));
            Problem::of_file(file, "AgentPod may not read this").hint(hint)
        }
        _ => Problem::of_file(file, format!("this cannot be read: {error}")).hint("check the disk or mount"),
    }
}

fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+@".contains(c));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Whether a name is that of a hidden file, or of an editor's swap or backup file.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") || name.ends_with(b"~") || (name.starts_with(b"#") && name.ends_with(b"#"))
}

struct FolderWalk<'a> {
    root: &'a Path,
    origin: &'a str,
    rules: Rules,
    survey: Survey,
    /// The folders from the root to the current one.
    above: Vec<(u64, u64)>,
    entries: usize,
    bytes: u64,
    full: bool,
}

impl FolderWalk<'_> {
    fn problem(&mut self, name: &str, what: impl Into<String>, hint: impl Into<String>) {
        let file = if name.is_empty() { self.origin.to_owned() } else { format!("{}{name}", self.rules.label) };
        self.survey.problems.push(Problem::of_file(file, what).hint(hint));
    }

    /// Records an I/O error for an entry that was just listed.
    fn failed(&mut self, path: &Path, name: &str, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::NotFound => self.survey.vanished = Some(name.to_owned()),
            _ => {
                let file = if name.is_empty() { self.origin.to_owned() } else { format!("{}{name}", self.rules.label) };
                self.survey.problems.push(io_problem(&file, path, error));
            }
        }
    }

    /// Stops the walk, since further problems would say the same.
    fn stop(&mut self, what: String) {
        self.full = true;
        self.problem("", what, "check that this is the right folder; split it, or move other files out of it");
    }

    fn folder(&mut self, path: &Path, name: &str, metadata: &Metadata) {
        let id = (metadata.dev(), metadata.ino());
        if self.above.contains(&id) {
            return self.problem(
                name,
                "this link is a loop: it points to a folder that contains it",
                "remove it, or point it elsewhere",
            );
        }
        if self.above.len() > MAX_DEPTH {
            return self.problem(
                name,
                format!("folders are nested more than {MAX_DEPTH} levels deep here"),
                "move it up",
            );
        }
        self.survey.folders.insert(path.to_owned(), FolderId::of(metadata));
        self.survey.folders_changed.insert(path.to_owned(), time((metadata.ctime(), metadata.ctime_nsec())));
        let mut names = Vec::new();
        let listing = fs::read_dir(path).and_then(|listing| {
            for entry in listing {
                names.push(entry?.file_name());
                if names.len() + self.entries > MAX_ENTRIES {
                    break;
                }
            }
            Ok(())
        });
        if let Err(error) = listing {
            return self.failed(path, name, &error);
        }
        self.entries += names.len();
        if self.entries > MAX_ENTRIES {
            return self.stop(format!("there are more than {MAX_ENTRIES} files and folders in it"));
        }
        names.sort();
        self.above.push(id);
        for entry in names.iter().filter(|entry| !is_hidden(entry.as_encoded_bytes())) {
            if self.full {
                break;
            }
            let below = if name.is_empty() {
                entry.to_string_lossy().into()
            } else {
                format!("{name}/{}", entry.to_string_lossy())
            };
            let is_text = entry.to_str().is_some_and(|text| !text.chars().any(is_invisible));
            self.entry(&path.join(entry), &below, is_text);
        }
        self.above.pop();
    }

    fn entry(&mut self, path: &Path, name: &str, is_text: bool) {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(path, name, &error),
        };
        let (path, metadata) = if metadata.is_symlink() {
            let Some(real) = self.follow(path, name) else { return };
            real
        } else {
            (path.to_owned(), metadata)
        };
        let matches = (self.rules.matches)(name);
        if !is_text && (matches || metadata.is_dir()) {
            let hint = "rename it; use letters, digits, - and _";
            return self.problem(&name.replace(is_invisible, "?"), "its name is not valid text", hint);
        }
        if metadata.is_dir() {
            self.folder(&path, name, &metadata);
        } else if matches && metadata.is_file() {
            self.file(path, name, &metadata);
        } else if matches {
            self.problem(name, "this is a pipe, socket or device, not a file", "move it out of the folder");
        }
    }

    /// The target of a link, if it may be followed.
    fn follow(&mut self, link: &Path, name: &str) -> Option<(PathBuf, Metadata)> {
        let real = match fs::canonicalize(link).and_then(|real| Ok((fs::metadata(&real)?, real))) {
            Ok((metadata, real)) => (real, metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(link).is_ok() => {
                let target = fs::read_link(link).map(|target| target.display().to_string()).unwrap_or_default();
                self.problem(
                    name,
                    format!("this link points to {target}, which does not exist"),
                    "remove the link, or restore its target",
                );
                return None;
            }
            Err(error) => {
                self.failed(link, name, &error);
                return None;
            }
        };
        if !real.0.starts_with(self.root) {
            if real.1.is_dir() || (self.rules.matches)(name) {
                let what = format!("this link points outside the folder, to {}", real.0.display());
                self.problem(name, what, "copy the target into the folder; only links within it are followed");
            }
            return None;
        }
        if let (Some(folder), false) = (real.0.parent(), real.1.is_dir())
            && let Ok(metadata) = fs::metadata(folder)
        {
            self.survey.folders.insert(folder.to_owned(), FolderId::of(&metadata));
        }
        Some(real)
    }

    fn file(&mut self, path: PathBuf, name: &str, metadata: &Metadata) {
        let stamp = Stamp::of(metadata);
        if !self.rules.limited {
            self.survey.files.insert(name.to_owned(), FoundFile { path, stamp });
            return;
        }
        if stamp.size > MAX_FILE_BYTES {
            let problem = too_large(&format!("{}{name}", self.rules.label), stamp.size);
            self.survey.problems.push(problem);
            return;
        }
        if self.survey.files.len() == MAX_FILES {
            return self.stop(format!("there are more than {MAX_FILES} files in it"));
        }
        self.bytes += stamp.size;
        if self.bytes > MAX_TOTAL_BYTES {
            return self.stop(format!("its files have more than {} MiB in total", MAX_TOTAL_BYTES >> 20));
        }
        self.survey.files.insert(name.to_owned(), FoundFile { path, stamp });
    }
}
