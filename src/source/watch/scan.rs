//! A scan of the watched folders: their state, to compare with the next scan, and the folders to watch for changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use crate::{
    core::problem::Problem,
    source::{
        SourceError,
        survey::{FolderId, FoundFile, Rules, Survey, survey},
    },
};

/// How many links are followed to find a folder.
const MAX_LINKS: usize = 40;

/// The result of one scan. Two are equal if nothing changed.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    trees: Vec<Result<Tree, SourceError>>,
    /// The folders to watch.
    pub(crate) watched: WatchedFolders,
}

/// The folders to watch, by path.
pub(super) type WatchedFolders = BTreeMap<PathBuf, WatchedFolder>;

/// A folder to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WatchedFolder {
    /// The identity of the folder at this path.
    pub(crate) id: FolderId,
    /// The relevant names in it; `None` means all, in a source's folder or below.
    pub(crate) names: Option<BTreeSet<OsString>>,
}

/// The state of a folder and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    files: BTreeMap<String, FoundFile>,
    folders: BTreeMap<PathBuf, FolderId>,
    problems: Vec<Problem>,
}

impl PartialEq for Scan {
    fn eq(&self, other: &Self) -> bool {
        self.trees == other.trees
    }
}

/// Scans every folder.
pub(super) fn scan(paths: &[PathBuf]) -> Scan {
    let mut watched = WatchedFolders::new();
    let mut trees = Vec::new();
    for path in paths {
        for (folder, name) in folders_on_the_way(path) {
            let Ok(metadata) = fs::metadata(&folder) else { continue };
            let entry = watched
                .entry(folder)
                .or_insert_with(|| WatchedFolder { id: FolderId::of(&metadata), names: Some(BTreeSet::new()) });
            if let Some(names) = &mut entry.names {
                names.insert(name);
            }
        }
        let found = survey(path, Rules { label: "", matches: |_| true, limited: false });
        if let Ok(Survey { folders, .. }) = &found {
            watched.extend(folders.iter().map(|(folder, id)| (folder.clone(), WatchedFolder { id: *id, names: None })));
        }
        trees.push(found.map(|Survey { files, folders, problems, .. }| Tree { files, folders, problems }));
    }
    Scan { trees, watched }
}

/// The folders that contain the path itself and every link on the way to it, each with the relevant name. If the path does
/// not exist, the last one is where its first missing part would appear.
fn folders_on_the_way(path: &Path) -> Vec<(PathBuf, OsString)> {
    let owned = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<_>>();
    let (mut rest, mut at, mut links) = (owned(path), PathBuf::from("/"), 0);
    let mut found = Vec::new();
    while let Some(name) = rest.pop_front() {
        match Path::new(&name).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::Normal(_)) => {
                let next = at.join(&name);
                match fs::read_link(&next) {
                    Ok(target) if links < MAX_LINKS => {
                        links += 1;
                        found.push((at.clone(), name));
                        if target.is_absolute() {
                            at = PathBuf::from("/");
                        }
                        owned(&target).into_iter().rev().for_each(|part| rest.push_front(part));
                    }
                    _ if fs::symlink_metadata(&next).is_ok() => at = next,
                    _ => {
                        found.push((at, name));
                        return found;
                    }
                }
            }
            _ => {}
        }
    }
    if let (Some(parent), Some(name)) = (at.parent(), at.file_name()) {
        found.push((parent.to_owned(), name.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_to_a_folder_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let holder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(holder.join("trees/one/sub")).unwrap();
        symlink("../trees/one", holder.join("trees/via")).unwrap();
        symlink("trees/via", holder.join("current")).unwrap();
        let place = |folder: &str, name: &str| (holder.join(folder), OsString::from(name));
        let found: Vec<_> = folders_on_the_way(&holder.join("current/sub"))
            .into_iter()
            .map(|(path, name)| (path.components().collect(), name))
            .collect();
        assert_eq!(
            found,
            [place("", "current"), place("trees", "via"), place("trees/one", "sub")]
                .map(|(path, name)| (path.components().collect::<PathBuf>(), name))
        );
        assert_eq!(folders_on_the_way(&holder.join("trees/none/below")), [place("trees", "none")]);
        symlink("round", holder.join("round")).unwrap();
        assert!(folders_on_the_way(&holder.join("round/sub")).len() <= MAX_LINKS + 2);
    }
}
