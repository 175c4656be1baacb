//! One look at the watched folders: their state, to be compared with the next, and where to listen for changes of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use crate::{
    core::problem::Problem,
    source::survey::{FolderId, FoundFile, Rules, Survey, survey},
};

/// How many links in a row are followed to find a folder.
const MAX_LINKS: usize = 40;

/// What one look saw. Two are equal when nothing changed.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    trees: Vec<Tree>,
    /// Where to listen.
    pub places: ListenedFolders,
}

/// Folders to listen to.
pub(super) type ListenedFolders = BTreeMap<PathBuf, ListenedFolder>;

/// A folder to listen to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenedFolder {
    /// Which folder it is at this path.
    pub id: FolderId,
    /// Which names in it matter; all, if it is one of the watched folders or below one.
    pub names: Option<BTreeSet<OsString>>,
}

/// A watched folder: all that tells one state from another, or why it could not be looked at.
type Tree = Result<(BTreeMap<String, FoundFile>, BTreeMap<PathBuf, FolderId>, Vec<Problem>), String>;

impl PartialEq for Scan {
    fn eq(&self, other: &Self) -> bool {
        self.trees == other.trees
    }
}

/// Looks at every folder.
pub(super) fn look(paths: &[PathBuf]) -> Scan {
    let mut places = ListenedFolders::new();
    let mut trees = Vec::new();
    for path in paths {
        for (folder, name) in leading_to(path) {
            let Ok(metadata) = fs::metadata(&folder) else { continue };
            let place = places
                .entry(folder)
                .or_insert_with(|| ListenedFolder { id: FolderId::of(&metadata), names: Some(BTreeSet::new()) });
            if let Some(names) = &mut place.names {
                names.insert(name);
            }
        }
        let seen = survey(path, Rules { label: "", counts: |_| true, limited: false });
        if let Ok(Survey { folders, .. }) = &seen {
            places.extend(folders.iter().map(|(folder, id)| (folder.clone(), ListenedFolder { id: *id, names: None })));
        }
        trees.push(seen.map(|seen| (seen.files, seen.folders, seen.problems)).map_err(|error| error.to_string()));
    }
    Scan { trees, places }
}

/// The folders in which a path's own name and the links on the way to it stand, each with the name in question. Where
/// the path does not exist, the last of them is where it would begin to.
fn leading_to(path: &Path) -> Vec<(PathBuf, OsString)> {
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
    fn every_link_on_the_way_to_a_folder_is_listened_for() {
        let folder = tempfile::tempdir().unwrap();
        let holder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(holder.join("trees/one/sub")).unwrap();
        symlink("../trees/one", holder.join("trees/via")).unwrap();
        symlink("trees/via", holder.join("current")).unwrap();
        let place = |folder: &str, name: &str| (holder.join(folder), OsString::from(name));
        let found: Vec<_> = leading_to(&holder.join("current/sub"))
            .into_iter()
            .map(|(path, name)| (path.components().collect(), name))
            .collect();
        assert_eq!(
            found,
            [place("", "current"), place("trees", "via"), place("trees/one", "sub")]
                .map(|(path, name)| (path.components().collect::<PathBuf>(), name))
        );
        assert_eq!(leading_to(&holder.join("trees/none/below")), [place("trees", "none")]);
        symlink("round", holder.join("round")).unwrap();
        assert!(leading_to(&holder.join("round/sub")).len() <= MAX_LINKS + 2);
    }
}
