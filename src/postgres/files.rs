//! Creates the directories and files of a `Home` for the right owner, safely even if AgentPod is root and another user could
//! have planted links. It deletes only a socket, lock or log, or a socket directory that the server cannot use, never data.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::Path;

use rustix::fs::OFlags;

use super::{
    error::PostgresError,
    home::{Home, socket_file},
    owner::Owner,
};
use crate::postgres::owner::UserIds;

/// Ensures a directory for the owner alone, and removes anything else of that name.
pub(crate) fn own_dir(dir: &Path, owner: &Owner) -> Result<(), PostgresError> {
    let is_private =
        |meta: &fs::Metadata| meta.is_dir() && meta.uid() == owner.uid && meta.permissions().mode() & 0o7777 == 0o700;
    match fs::symlink_metadata(dir) {
        Ok(meta) if is_private(&meta) => return Ok(()),
        Ok(_) => fs::remove_dir_all(dir).map_err(PostgresError::io("removing the unusable", dir))?,
        Err(_) => {}
    }
    // Fails if the name was taken meanwhile, so the change of owner applies to the new directory.
    DirBuilder::new().mode(0o700).create(dir).map_err(PostgresError::io("creating", dir))?;
    if let Some(UserIds { uid, gid }) = owner.switch() {
        lchown(dir, Some(uid), Some(gid)).map_err(PostgresError::io("changing the owner of", dir))?;
    }
    Ok(())
}

/// Removes the socket of a killed server, and its lock file, whose process ID may have been reused.
pub(crate) fn remove_old_socket(dir: &Path) -> Result<(), PostgresError> {
    let socket = socket_file(dir);
    remove_old(&socket.with_added_extension("lock"))?;
    remove_old(&socket)
}

/// Removes a file, which a stopping server may remove at the same time.
pub(crate) fn remove_old(file: &Path) -> Result<(), PostgresError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PostgresError::io("removing the old", file)(error))
        }
        _ => Ok(()),
    }
}

/// Ensures a log file that the owner can write.
pub(crate) fn own_log(home: &Home, owner: &Owner) -> Result<(), PostgresError> {
    let log = home.log();
    match fs::symlink_metadata(&log) {
        Ok(meta) if meta.is_file() && meta.uid() == owner.uid => return Ok(()),
        Ok(_) => fs::remove_file(&log).map_err(PostgresError::io("removing the unusable", &log))?,
        Err(_) => {}
    }
    create(&log, Some(owner)).map(drop).map_err(PostgresError::io("creating", &log))
}

/// Opens a lock file that the owner can open too.
pub(crate) fn lock_file(home: &Home, path: &Path) -> Result<File, PostgresError> {
    let opened = match create(path, Owner::of(&home.data()).ok().as_ref()) {
        // Never through a link, since AgentPod may be root.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
        }
        outcome => outcome,
    };
    opened.map_err(PostgresError::io("opening", path))
}

fn create(path: &Path, owner: Option<&Owner>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(UserIds { uid, gid }) = owner.and_then(Owner::switch) {
        fchown(&file, Some(uid), Some(gid))?;
    }
    Ok(file)
}
