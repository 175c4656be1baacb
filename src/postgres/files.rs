//! Making the directories and files of a `Home` so that the right user owns them, also when we are root and somebody
//! less than root could have put a link in our way. It may delete nothing but a directory, a socket or a log that is
//! of no use to that user, and never data.

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

/// A directory for the owner alone; anything else of that name is removed.
pub fn own_dir(dir: &Path, owner: &Owner) -> Result<(), PostgresError> {
    let is_fine =
        |meta: &fs::Metadata| meta.is_dir() && meta.uid() == owner.uid && meta.permissions().mode() & 0o7777 == 0o700;
    match fs::symlink_metadata(dir) {
        Ok(meta) if is_fine(&meta) => return Ok(()),
        Ok(_) => fs::remove_dir_all(dir).map_err(PostgresError::io("removing the unfit", dir))?,
        Err(_) => {}
    }
    // Fails if somebody was quicker, so what we hand over next is what we made.
    DirBuilder::new().mode(0o700).create(dir).map_err(PostgresError::io("creating", dir))?;
    if let Some((uid, gid)) = owner.switch() {
        lchown(dir, Some(uid), Some(gid)).map_err(PostgresError::io("handing over", dir))?;
    }
    Ok(())
}

/// A socket left by a killed server, and its lock, which by its process id may seem to be in use.
pub fn remove_old_socket(dir: &Path) -> Result<(), PostgresError> {
    let socket = socket_file(dir);
    remove_old(&socket.with_added_extension("lock"))?;
    remove_old(&socket)
}

/// Whose server, on its way out, may take it along before we get to it.
pub fn remove_old(file: &Path) -> Result<(), PostgresError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PostgresError::io("removing the old", file)(error))
        }
        _ => Ok(()),
    }
}

/// The log, there and writable for the owner.
pub fn own_log(home: &Home, owner: &Owner) -> Result<(), PostgresError> {
    let log = home.log();
    match fs::symlink_metadata(&log) {
        Ok(meta) if meta.is_file() && meta.uid() == owner.uid => return Ok(()),
        Ok(_) => fs::remove_file(&log).map_err(PostgresError::io("removing the unfit", &log))?,
        Err(_) => {}
    }
    create(&log, Some(owner)).map(drop).map_err(PostgresError::io("creating", &log))
}

/// Opens a lock file, which the owner too must be able to do.
pub fn lock_file(home: &Home, path: &Path) -> Result<File, PostgresError> {
    let made = match create(path, Owner::of(&home.data()).ok().as_ref()) {
        // Never through a link, for we may be root.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
        }
        outcome => outcome,
    };
    made.map_err(PostgresError::io("opening", path))
}

fn create(path: &Path, owner: Option<&Owner>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some((uid, gid)) = owner.and_then(Owner::switch) {
        fchown(&file, Some(uid), Some(gid))?;
    }
    Ok(file)
}
