//! The state of a data directory's server, from `postmaster.pid` and the kernel. It changes nothing.
//!
//! The file alone is no proof: it outlives a killed server, and its process ID may have been reused. A process is the server
//! if it is PostgreSQL and its working directory is the data directory.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{
    error::PostgresError,
    home::{self, Home},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub pid: i32,
    pub socket_dir: PathBuf,
    pub status: ServerPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerPhase {
    Starting,
    Ready,
    Stopping,
}

#[derive(Debug)]
pub(crate) enum PidFileState {
    /// The server runs, in any phase.
    Alive(PidFile),
    /// The server answers at its socket but runs in another container, so it can be used but not signalled.
    Foreign(PidFile),
    /// There is no server and no file that could be taken for one.
    Gone,
    /// There is no server, but a stale file that makes PostgreSQL refuse to start.
    Stale,
}

pub(crate) fn path(home: &Home) -> PathBuf {
    home.data().join("postmaster.pid")
}

pub(crate) fn inspect(home: &Home) -> Result<PidFileState, PostgresError> {
    let path = path(home);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PidFileState::Gone),
        Err(error) => return Err(PostgresError::io("reading", &path)(error)),
    };
    // Truncated by a crash of the machine: PostgreSQL refuses to start with such a file.
    let Some(file) = parse(&text) else { return Ok(PidFileState::Stale) };
    // Not the directory in the file, which may have been copied from a running server's.
    let run = home.root().join("run");
    Ok(if works_in(file.pid, &home.data()) {
        PidFileState::Alive(file)
    } else if UnixStream::connect(home::socket_file(&run)).is_ok() {
        PidFileState::Foreign(PidFile { socket_dir: run, ..file })
    } else if Path::new(&format!("/proc/{}", file.pid)).exists() {
        PidFileState::Stale
    } else {
        PidFileState::Gone
    })
}

/// What tells a directory from another of the same name.
pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Whether a process is PostgreSQL whose directory, once named `data`, was deleted.
pub(crate) fn works_in_deleted(pid: i32, data: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    let Ok(cwd) = fs::read_link(proc.join("cwd")) else { return false };
    name.starts_with("post") && cwd.as_os_str() == format!("{} (deleted)", data.display()).as_str()
}

/// Whether a process is PostgreSQL with `data` as its working directory. A zombie has none.
pub(crate) fn works_in(pid: i32, data: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    if !name.contains("postgres") && !name.contains("postmaster") {
        return false;
    }
    match (identity(&proc.join("cwd")), identity(data)) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        // Root in a container without CAP_SYS_PTRACE: falls back to the arguments.
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            let arguments = fs::read(proc.join("cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            arguments.any(|word| word == b"-D") && arguments.next() == Some(data.as_os_str().as_encoded_bytes())
        }
        _ => false,
    }
}

/// Parses the lines: PID, data directory, start time, port, socket directory, address, shared memory, status. The last ones
/// appear during the start. A server in single-user mode writes a negative PID.
fn parse(text: &str) -> Option<PidFile> {
    let lines: Vec<&str> = text.lines().collect();
    let pid = lines.first()?.trim().parse::<i32>().ok()?.checked_abs().filter(|pid| *pid > 0)?;
    let status = match lines.get(7).map(|line| line.trim()) {
        Some("ready") => ServerPhase::Ready,
        Some("stopping") => ServerPhase::Stopping,
        _ => ServerPhase::Starting,
    };
    Some(PidFile { pid, socket_dir: PathBuf::from(lines.get(4).unwrap_or(&"").trim_end()), status })
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4711\n/s/postgres/data\n1795000000\n5432\n/s/postgres/run\n\n  1234 5\nready   \n";

    #[test]
    fn the_eighth_line_says_whether_the_server_is_ready() {
        assert_eq!(parse(READY).map(|file| file.status), Some(ServerPhase::Ready));
        assert_eq!(parse(&READY.replace("ready   ", "stopping")).map(|file| file.status), Some(ServerPhase::Stopping));
        assert_eq!(parse("4711\n/s/postgres/data\n").map(|file| file.status), Some(ServerPhase::Starting));
        assert_eq!(parse(READY).map(|file| file.socket_dir), Some(PathBuf::from("/s/postgres/run")));
    }

    #[test]
    fn a_truncated_file_names_no_process() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("\n\n"), None);
        assert_eq!(parse("0\n"), None);
    }

    #[test]
    fn a_process_that_is_not_postgres_is_not_the_server_even_in_its_directory() {
        let here = std::env::current_dir().unwrap();
        assert!(!works_in(std::process::id() as i32, &here));
    }
}
