//! The private server's files on disk. It starts nothing, and deletes only an empty directory.
//!
//! ```text
//! <state>/postgres/            AgentPod's own; if it is root, the server's user cannot replace anything in it
//! <state>/postgres/data/       the server user's, mode 0700
//! <state>/postgres/run/        the server user's, mode 0700, with the socket
//! <state>/postgres/server.log, turn.lock, users.lock
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::error::PostgresError;

/// The longest path of a Unix socket, in bytes (`sun_path` without its final zero).
const SOCKET_NAME_LIMIT: usize = 107;

#[derive(Debug, Clone)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// Creates missing directories up to `<state>/postgres`.
    pub(crate) fn of(state_dir: &Path) -> Result<Home, PostgresError> {
        // The server's user must be able to enter directories that root creates.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        let create = |dir: &Path| {
            if dir.is_dir() {
                return Ok(());
            }
            DirBuilder::new().recursive(true).mode(mode).create(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)) // the umask may have removed bits
        };
        create(state_dir).map_err(PostgresError::io("creating", state_dir))?;
        let state_dir = state_dir.canonicalize().map_err(PostgresError::io("resolving", state_dir))?;
        if state_dir.to_str().is_none_or(|name| name.contains(char::is_control)) {
            let why = "PostgreSQL needs a path in UTF-8 without control characters".to_owned();
            return Err(PostgresError::StateDirUnusable { path: state_dir, why });
        }
        let root = state_dir.join("postgres");
        create(&root).map_err(PostgresError::io("creating", &root))?;
        Ok(Home { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }
    pub(crate) fn turn_lock(&self) -> PathBuf {
        self.root.join("turn.lock")
    }
    pub(crate) fn users_lock(&self) -> PathBuf {
        self.root.join("users.lock")
    }

    /// Whether there is a data directory, which is always complete. Any other content that is not empty is an error, since it
    /// may be somebody's data.
    pub(crate) fn has_data(&self) -> Result<bool, PostgresError> {
        let data = self.data();
        match fs::read_dir(&data).map(|mut entries| entries.next().is_some()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // It belongs to another user, which `Owner::of` reports.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
            Err(error) => Err(PostgresError::io("reading", &data)(error)),
            Ok(true) if data.join("PG_VERSION").is_file() => Ok(true),
            Ok(true) => {
                let why = "it has files but no PG_VERSION. Move it away".to_owned();
                Err(PostgresError::DataUnusable { path: data, why })
            }
            Ok(false) => {
                fs::remove_dir(&data).map_err(PostgresError::io("removing the empty", &data))?;
                Ok(false)
            }
        }
    }

    /// The directory of the socket, below the state directory unless the path is too long.
    pub(crate) fn socket_dir(&self) -> Result<PathBuf, PostgresError> {
        let hash = digest(&SHA256, self.root.as_os_str().as_encoded_bytes());
        let short = hex::encode(&hash.as_ref()[..6]);
        let mut candidates = vec![self.root.join("run")];
        if rustix::process::geteuid().is_root() {
            candidates.push(PathBuf::from(format!("/run/agentpod-{short}")));
        }
        candidates.push(std::env::temp_dir().join(format!("agentpod-{short}")));
        let fits = |dir: &PathBuf| {
            dir.is_absolute()
                && socket_file(dir).as_os_str().len() <= SOCKET_NAME_LIMIT
                && dir.parent().is_some_and(Path::is_dir)
        };
        candidates.into_iter().find(fits).ok_or_else(|| PostgresError::StateDirUnusable {
            path: self.root.clone(),
            why: format!("the path of a Unix socket in it would exceed {SOCKET_NAME_LIMIT} bytes, and in TMPDIR too"),
        })
    }
}

pub(crate) fn socket_file(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{}", super::PORT))
}
