//! Listening to the operating system's notifications of changed files. The one place that knows the notify crate.
//!
//! Each folder is listened to by itself, not recursively: so hidden folders like `.git` cost nothing, links are never
//! followed out of the tree, and a folder that was removed and made again is listened to again.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::scan::{ListenedFolder, ListenedFolders};
use crate::source::survey::is_hidden;

/// What was heard: that it is time to look, or that nothing more will be heard.
#[derive(Debug, Default)]
pub(super) struct ChangeHints {
    /// Wakes who should look.
    pub look: Notify,
    trouble: Mutex<Option<String>>,
    places: RwLock<ListenedFolders>,
}

impl ChangeHints {
    /// Why listening failed since this was last asked.
    pub(super) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs in the notify crate's thread.
    pub(super) fn hear(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if !self.matters(&event) => return,
            Ok(_) => {}
            Err(error) => *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string()),
        }
        self.look.notify_one();
    }

    /// Whether an event may be about something that counts. Reading a file is an event too, and must not wake us.
    fn matters(&self, event: &Event) -> bool {
        if event.need_rescan() {
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        event.paths.iter().any(|path| is_about(&places, path))
    }
}

fn is_about(places: &ListenedFolders, path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return true };
    let in_folder = match places.get(folder) {
        Some(ListenedFolder { names: None, .. }) => counts(name),
        Some(ListenedFolder { names: Some(names), .. }) => names.contains(name),
        None => false,
    };
    in_folder || places.contains_key(path)
}

/// Hidden names do not count, but for those by which Kubernetes swaps a ConfigMap: `..data` and `..2026_…`.
fn counts(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    !is_hidden(name) || name.starts_with(b"..")
}

/// Something that gives hints about the folders it listens to.
pub(super) struct Listener {
    watcher: RecommendedWatcher,
    hints: Arc<ChangeHints>,
    places: ListenedFolders,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Listener {
    /// An ear that listens to nothing yet.
    pub(super) fn open(hints: &Arc<ChangeHints>) -> Result<Self, String> {
        let heard = hints.clone();
        let config = Config::default().with_follow_symlinks(false);
        let watcher =
            RecommendedWatcher::new(move |event| heard.hear(event), config).map_err(|error| reason(&error))?;
        Ok(Self { watcher, hints: hints.clone(), places: ListenedFolders::new() })
    }

    /// Listens to these folders and no others; tells whether one of them is new to it.
    pub(super) fn listen(&mut self, places: &ListenedFolders) -> Result<bool, String> {
        *self.hints.places.write().unwrap_or_else(PoisonError::into_inner) = places.clone();
        let gone: BTreeSet<PathBuf> = self.places.keys().filter(|path| !places.contains_key(*path)).cloned().collect();
        for path in gone {
            // It fails when the folder is gone, and then there is nothing to do.
            let _ = self.watcher.unwatch(&path);
        }
        let mut news = false;
        for (path, place) in places {
            // Known ones too: a folder made again may have the old one's number, and listening twice does no harm.
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => news |= self.places.get(path).map(|known| known.id) != Some(place.id),
                Err(error) if is_of_the_folder(&error) => {}
                Err(error) => return Err(reason(&error)),
            }
        }
        self.places = places.clone();
        Ok(news)
    }
}

/// Whether the folder is at fault and not the watcher: it is gone by now, or may not be read.
fn is_of_the_folder(error: &notify::Error) -> bool {
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

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "the limit of watched folders is reached; raise fs.inotify.max_user_watches".into(),
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "the limit of watchers is reached; raise fs.inotify.max_user_instances".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};

    use super::*;
    use crate::source::watch::scan::look;

    #[test]
    fn only_events_about_what_counts_matter() {
        let folder = tempfile::tempdir().unwrap();
        let holder = std::fs::canonicalize(folder.path()).unwrap();
        let root = holder.join("root");
        std::fs::create_dir(&root).unwrap();
        let hints =
            ChangeHints { places: RwLock::new(look(std::slice::from_ref(&root)).places), ..ChangeHints::default() };
        let created = |path: PathBuf| Event::new(EventKind::Create(CreateKind::File)).add_path(path);
        for name in ["a.yaml", "folder", "..data", "..2026_01"] {
            assert!(hints.matters(&created(root.join(name))), "{name}");
        }
        assert!(hints.matters(&created(root.clone())), "the root made again");
        for path in [
            root.join(".git"),
            root.join("a.yaml~"),
            root.join(".a.swp"),
            holder.join("beside"),
            root.join(".git/index"),
        ] {
            assert!(!hints.matters(&created(path.clone())), "{path:?}");
        }
        let read = Event::new(EventKind::Access(AccessKind::Any)).add_path(root.join("a.yaml"));
        assert!(!hints.matters(&read), "reading must not wake the reader");
        assert!(hints.matters(&Event::new(EventKind::Other).set_flag(Flag::Rescan)), "events were lost");
    }

    #[test]
    fn an_error_of_the_watcher_wakes_and_is_told_once() {
        let hints = ChangeHints::default();
        hints.hear(Err(notify::Error::generic("broken")));
        assert_eq!(hints.take_trouble().as_deref(), Some("broken"));
        assert_eq!(hints.take_trouble(), None);
    }
}
