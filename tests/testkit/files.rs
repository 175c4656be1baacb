//! Files and folders as people and programs leave them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::TempDir;

/// A folder of the test's own that others may enter: as root PostgreSQL runs as somebody else, who must get in.
pub fn open_folder() -> TempDir {
    let folder = TempDir::with_prefix("agentpod-").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Writes files below a folder, making the folders they stand in.
pub fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Saves a file the way editors do: beside it, then renamed over it.
pub fn save(path: &Path, text: &str) {
    let beside = path.with_extension("saving");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}
