//! What `postmaster.pid` and the kernel say about the server of a data directory. It only looks.
//!
//! The file alone is no proof: it outlives a killed server, and its process id may be somebody else's by now. A
//! process is the server if it is PostgreSQL and works in that very directory, however either is spelled.

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
pub struct PidFile {
    pub pid: i32,
    pub socket_dir: PathBuf,
    pub status: ServerPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPhase {
    Starting,
    Ready,
    Stopping,
}

#[derive(Debug)]
pub enum PidFileState {
    /// The server of this directory, in whatever state.
    Alive(PidFile),
    /// It answers at its socket but is in another container: to be used, not to be signalled.
    Elsewhere(PidFile),
    /// No server. `misleading`: the file is there and PostgreSQL itself might take it for a running one.
    Gone { misleading: bool },
}

pub fn path(home: &Home) -> PathBuf {
    home.data().join("postmaster.pid")
}

pub fn look(home: &Home) -> Result<PidFileState, PostgresError> {
    let path = path(home);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PidFileState::Gone { misleading: false }),
        Err(error) => return Err(PostgresError::io("reading", &path)(error)),
    };
    // Cut short by a crash of the machine: PostgreSQL refuses to start over such a file.
    let Some(file) = parse(&text) else { return Ok(PidFileState::Gone { misleading: true }) };
    // Not the directory the file names: the state directory may have been copied from that of a running server.
    let run = home.root().join("run");
    Ok(if works_in(file.pid, &home.data()) {
        PidFileState::Alive(file)
    } else if UnixStream::connect(home::socket_file(&run)).is_ok() {
        PidFileState::Elsewhere(PidFile { socket_dir: run, ..file })
    } else {
        PidFileState::Gone { misleading: Path::new(&format!("/proc/{}", file.pid)).exists() }
    })
}

/// Whether this process is PostgreSQL at work on `data`. A zombie does not count: it has no working directory any more.
pub fn works_in(pid: i32, data: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let name = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    if !name.contains("postgres") && !name.contains("postmaster") {
        return false;
    }
    match (place(&proc.join("cwd")), place(data)) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        // Root in a container without CAP_SYS_PTRACE: what we started it with must do.
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            let arguments = fs::read(proc.join("cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            arguments.any(|word| word == b"-D") && arguments.next() == Some(data.as_os_str().as_encoded_bytes())
        }
        _ => false,
    }
}

/// Its lines: pid, data directory, start time, port, socket directory, address, shared memory, status. The later
/// ones appear as the server gets there. A server in single-user mode writes its pid negative.
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
    fn ready_is_what_the_eighth_line_says_and_nothing_less() {
        assert_eq!(parse(READY).map(|file| file.status), Some(ServerPhase::Ready));
        assert_eq!(parse(&READY.replace("ready   ", "stopping")).map(|file| file.status), Some(ServerPhase::Stopping));
        assert_eq!(parse("4711\n/s/postgres/data\n").map(|file| file.status), Some(ServerPhase::Starting));
        assert_eq!(parse(READY).map(|file| file.socket_dir), Some(PathBuf::from("/s/postgres/run")));
    }

    #[test]
    fn a_file_cut_short_names_no_process() {
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
