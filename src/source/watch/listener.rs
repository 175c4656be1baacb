//! Listens to the operating system's notifications of changed files. The only place that uses the notify crate.
//!
//! Each folder is watched by itself, not recursively: hidden folders like `.git` cost nothing, links are never followed out
//! of the tree, and a folder that was removed and created again is watched again.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::scan::{WatchedFolder, WatchedFolders};
use crate::source::survey::is_hidden;

/// What notifications tell the watcher: to scan, or that they have failed.
#[derive(Debug, Default)]
pub(super) struct ChangeHints {
    /// Wakes the watcher to scan.
    pub(crate) scan: Notify,
    failure: Mutex<Option<ListenError>>,
    folders: RwLock<WatchedFolders>,
}

impl ChangeHints {
    /// The failure since the last call, if any.
    pub(super) fn take_failure(&self) -> Option<ListenError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Handles a notification, in the notify crate's thread.
    pub(super) fn handle(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if !self.is_relevant(&event) => return,
            Ok(_) => {}
            Err(error) => *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into()),
        }
        self.scan.notify_one();
    }

    /// Whether an event may concern a watched file. Reading a file is an event too, and must not cause a scan.
    fn is_relevant(&self, event: &Event) -> bool {
        if event.need_rescan() {
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        event.paths.iter().any(|path| concerns(&folders, path))
    }
}

fn concerns(folders: &WatchedFolders, path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return true };
    let in_folder = match folders.get(folder) {
        Some(WatchedFolder { names: None, .. }) => is_visible(name),
        Some(WatchedFolder { names: Some(names), .. }) => names.contains(name),
        None => false,
    };
    in_folder || folders.contains_key(path)
}

/// Hidden names are ignored, except those by which Kubernetes swaps a ConfigMap: `..data` and `..2026_…`.
fn is_visible(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    !is_hidden(name) || name.starts_with(b"..")
}

/// Watches folders and reports changes as hints.
pub(super) struct Listener {
    watcher: RecommendedWatcher,
    hints: Arc<ChangeHints>,
    folders: WatchedFolders,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("folders", &self.folders).finish_non_exhaustive()
    }
}

impl Listener {
    /// A listener that watches no folder yet.
    pub(super) fn open(hints: &Arc<ChangeHints>) -> Result<Self, ListenError> {
        let handler = hints.clone();
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(move |event| handler.handle(event), config).map_err(ListenError::from)?;
        Ok(Self { watcher, hints: hints.clone(), folders: WatchedFolders::new() })
    }

    /// Watches exactly these folders. Returns whether one of them was not watched before.
    pub(super) fn watch(&mut self, folders: &WatchedFolders) -> Result<bool, ListenError> {
        *self.hints.folders.write().unwrap_or_else(PoisonError::into_inner) = folders.clone();
        let gone: BTreeSet<PathBuf> =
            self.folders.keys().filter(|path| !folders.contains_key(*path)).cloned().collect();
        for path in gone {
            // This fails if the folder is gone, which does not matter.
            let _ = self.watcher.unwatch(&path);
        }
        let mut has_new = false;
        for (path, folder) in folders {
            // Watched ones too: a folder created again may have the same inode, and watching twice is harmless.
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => has_new |= self.folders.get(path).map(|watched| watched.id) != Some(folder.id),
                Err(error) if is_folder_error(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.folders = folders.clone();
        Ok(has_new)
    }
}

/// Whether an error concerns only one folder, which is gone or not readable.
fn is_folder_error(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
            )
        }
        _ => false,
    }
}

/// Why notifications are not available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ListenError {
    #[error("the limit of watched folders is reached; raise fs.inotify.max_user_watches")]
    TooManyFolders,
    #[error("the limit of watchers is reached; raise fs.inotify.max_user_instances")]
    TooManyWatchers,
    #[error("{0}")]
    Other(String),
}

impl From<notify::Error> for ListenError {
    fn from(error: notify::Error) -> Self {
        match &error.kind {
            ErrorKind::MaxFilesWatch => Self::TooManyFolders,
            ErrorKind::Io(io) if io.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                Self::TooManyWatchers
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};

    use super::*;
    use crate::source::watch::scan::scan;

    #[test]
    fn only_events_about_watched_files_are_relevant() {
        let folder = tempfile::tempdir().unwrap();
        let holder = std::fs::canonicalize(folder.path()).unwrap();
        let root = holder.join("root");
        std::fs::create_dir(&root).unwrap();
        let hints =
            ChangeHints { folders: RwLock::new(scan(std::slice::from_ref(&root)).watched), ..ChangeHints::default() };
        let created = |path: PathBuf| Event::new(EventKind::Create(CreateKind::File)).add_path(path);
        for name in ["a.yaml", "folder", "..data", "..2026_01"] {
            assert!(hints.is_relevant(&created(root.join(name))), "{name}");
        }
        assert!(hints.is_relevant(&created(root.clone())), "the root was created again");
        for path in [
            root.join(".git"),
            root.join("a.yaml~"),
            root.join(".a.swp"),
            holder.join("beside"),
            root.join(".git/index"),
        ] {
            assert!(!hints.is_relevant(&created(path.clone())), "{path:?}");
        }
        let read = Event::new(EventKind::Access(AccessKind::Any)).add_path(root.join("a.yaml"));
        assert!(!hints.is_relevant(&read), "reading must not cause a scan");
        assert!(hints.is_relevant(&Event::new(EventKind::Other).set_flag(Flag::Rescan)), "events were lost");
    }

    #[test]
    fn a_failure_of_the_notifications_wakes_and_is_reported_once() {
        let hints = ChangeHints::default();
        hints.handle(Err(notify::Error::generic("broken")));
        assert_eq!(hints.take_failure(), Some(ListenError::Other("broken".into())));
        assert_eq!(hints.take_failure(), None);
    }
}
