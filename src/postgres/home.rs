//! Where the private server keeps its things on disk. It may start nothing, and delete nothing but an empty directory.
//!
//! ```text
//! <state>/postgres/            ours; of root when we are root, so that the server's user can swap nothing in it
//! <state>/postgres/data/       the server's, 0700
//! <state>/postgres/run/        the server's, 0700: its socket
//! <state>/postgres/server.log, turn.lock, users.lock
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::error::PostgresError;

/// What the kernel takes for the name of a Unix socket (`sun_path`, less its closing zero).
const SOCKET_NAME_LIMIT: usize = 107;

#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Makes the directories up to `<state>/postgres` where they are missing.
    pub fn of(state_dir: &Path) -> Result<Home, PostgresError> {
        // The server's user must be able to pass through what root makes.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        let make = |dir: &Path| {
            if dir.is_dir() {
                return Ok(());
            }
            DirBuilder::new().recursive(true).mode(mode).create(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)) // the umask may have taken some of it
        };
        make(state_dir).map_err(PostgresError::io("creating", state_dir))?;
        let state_dir = state_dir.canonicalize().map_err(PostgresError::io("finding", state_dir))?;
        if state_dir.to_str().is_none_or(|name| name.contains(char::is_control)) {
            let why = "PostgreSQL needs a name in UTF-8 without control characters".to_owned();
            return Err(PostgresError::StateDirUnusable { path: state_dir, why });
        }
        let root = state_dir.join("postgres");
        make(&root).map_err(PostgresError::io("creating", &root))?;
        Ok(Home { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }
    pub fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }
    pub fn turn_lock(&self) -> PathBuf {
        self.root.join("turn.lock")
    }
    pub fn users_lock(&self) -> PathBuf {
        self.root.join("users.lock")
    }

    /// Whether a complete data directory is there: they only ever appear whole. Anything else but an empty
    /// directory is somebody's data, and not ours to touch.
    pub fn has_data(&self) -> Result<bool, PostgresError> {
        let data = self.data();
        match fs::read_dir(&data).map(|mut entries| entries.next().is_some()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // Somebody else's: `Owner::of` will say so.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
            Err(error) => Err(PostgresError::io("reading", &data)(error)),
            Ok(true) if data.join("PG_VERSION").is_file() => Ok(true),
            Ok(true) => {
                let why = "it has files in it but no PG_VERSION. Move it away".to_owned();
                Err(PostgresError::DataUnusable { path: data, why })
            }
            Ok(false) => {
                fs::remove_dir(&data).map_err(PostgresError::io("removing the empty", &data))?;
                Ok(false)
            }
        }
    }

    /// The socket's directory, under the state directory unless that has too long a name.
    pub fn socket_dir(&self) -> Result<PathBuf, PostgresError> {
        let hash = digest(&SHA256, self.root.as_os_str().as_encoded_bytes());
        let short = hex::encode(&hash.as_ref()[..6]);
        let mut choices = vec![self.root.join("run")];
        if rustix::process::geteuid().is_root() {
            choices.push(PathBuf::from(format!("/run/agentpod-{short}")));
        }
        choices.push(std::env::temp_dir().join(format!("agentpod-{short}")));
        let fits = |dir: &PathBuf| {
            dir.is_absolute()
                && socket_file(dir).as_os_str().len() <= SOCKET_NAME_LIMIT
                && dir.parent().is_some_and(Path::is_dir)
        };
        choices.into_iter().find(fits).ok_or_else(|| PostgresError::StateDirUnusable {
            path: self.root.clone(),
            why: format!("a Unix socket in it would have a name over {SOCKET_NAME_LIMIT} bytes, and so in TMPDIR"),
        })
    }
}

pub fn socket_file(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{}", super::PORT))
}
