//! Starts the server, waits until it is ready, and stops it, only while holding the turn (see `lock`). A server that is too
//! slow is not killed: the next process finds it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{
    binaries::Search,
    create,
    error::PostgresError,
    files,
    home::{self, Home},
    log,
    owner::Owner,
    pidfile::{self, PidFile, PidFileState, ServerPhase},
    process, reach, settings,
};

/// How long a start may take, including recovery after a crash.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a stop may take, including the final checkpoint.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long sessions of a killed server may take to end; until then PostgreSQL refuses to start.
const OLD_SESSIONS_TIMEOUT: Duration = Duration::from_secs(10);
/// The message of that refusal.
const STILL_IN_USE: &str = "is still in use";
/// How often the state is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug, Clone)]
pub(crate) struct ServerProcess {
    pub pid: i32,
    pub socket_dir: PathBuf,
}

/// A ready server, and whether this call started it.
pub(crate) struct ReadyServer {
    pub process: ServerProcess,
    pub started: bool,
}

/// Ensures that the server is ready.
pub(crate) async fn ensure_ready(home: &Home, search: &Search) -> Result<ReadyServer, PostgresError> {
    let began = crate::clock::instant();
    let mark = log::end(&home.log());
    let mut started = false;
    loop {
        match pidfile::inspect(home)? {
            PidFileState::Alive(file)
                if file.status == ServerPhase::Ready && home::socket_file(&file.socket_dir).exists() =>
            {
                let process = ServerProcess { pid: file.pid, socket_dir: file.socket_dir };
                return Ok(ReadyServer { process, started });
            }
            PidFileState::Foreign(file) => {
                let process = ServerProcess { pid: file.pid, socket_dir: file.socket_dir };
                return Ok(ReadyServer { process, started: false });
            }
            PidFileState::Alive(file) if began.elapsed() > START_TIMEOUT => {
                let (data, log, lines) = (home.data(), home.log(), log::since(&home.log(), mark));
                return Err(PostgresError::NotReady { data, pid: file.pid, waited: began.elapsed(), log, lines });
            }
            PidFileState::Alive(file) if file.status == ServerPhase::Starting => {}
            // While it is stopping it refuses new connections as long as an old one lasts, and without its socket nobody
            // can connect. So it is interrupted and replaced.
            PidFileState::Alive(file) => {
                interrupt(home, &file)?;
                started = false;
            }
            PidFileState::Gone | PidFileState::Stale if started => {
                return Err(failed(home, mark, "it exited right after its start".to_owned()));
            }
            state @ (PidFileState::Gone | PidFileState::Stale) => {
                start(home, search, &state).await?;
                started = true;
                continue;
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn start(home: &Home, search: &Search, state: &PidFileState) -> Result<(), PostgresError> {
    let data = home.data();
    let exists = home.has_data()?;
    let owner = Owner::of(&data)?;
    reach::check(&owner, home.root()).await?;
    let required = if exists { Some(major_of(home)?) } else { None };
    let binaries = search.find(&data, required).await?;
    if !exists {
        create::create(home, &binaries, &owner).await?;
    }
    let socket_dir = home.socket_dir()?;
    files::own_dir(&socket_dir, &owner)?;
    files::own_log(home, &owner)?;
    files::remove_old_socket(&socket_dir)?;
    if matches!(state, PidFileState::Stale) {
        // PostgreSQL checks only the process ID and would refuse. Its other safeguard, shared memory that names the
        // directory, does not need the file.
        files::remove_old(&pidfile::path(home))?;
    }

    let began = crate::clock::instant();
    loop {
        // pg_ctl starts the server in its own session, away from the terminal, and waits until it is ready.
        let mut pg_ctl = process::command(&binaries.program("pg_ctl"), &owner, home.root());
        pg_ctl.env("PGDATA", &data).args(["start", "-s", "-w", "-l", "server.log"]);
        pg_ctl.args(["-t", &START_TIMEOUT.as_secs().to_string(), "-o", &settings::arguments(&data, &socket_dir)]);
        let mark = log::end(&home.log());
        let output = process::run(pg_ctl, &owner, "").await?;
        // Not a failure while a server runs: it may be slow, or started by a killed AgentPod.
        if output.status.success() || matches!(pidfile::inspect(home)?, PidFileState::Alive(_)) {
            return Ok(());
        }
        if began.elapsed() > OLD_SESSIONS_TIMEOUT || !log::since(&home.log(), mark).contains(STILL_IN_USE) {
            return Err(failed(home, mark, process::output_text(&output).replace('\n', "; ")));
        }
        tokio::time::sleep(10 * POLL_INTERVAL).await;
    }
}

/// Stops the server and its sessions, and waits until it is gone.
pub(crate) async fn stop(home: &Home) -> Result<(), PostgresError> {
    let began = crate::clock::instant();
    let PidFileState::Alive(first) = pidfile::inspect(home)? else { return Ok(()) };
    interrupt(home, &first)?;
    // Waiting for the PID file is not enough: the server removes it shortly before it exits.
    while pidfile::works_in(first.pid, &home.data()) {
        if began.elapsed() > STOP_TIMEOUT {
            let (data, log) = (home.data(), home.log());
            return Err(PostgresError::StopTimeout { data, pid: first.pid, waited: began.elapsed(), log });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    if !first.socket_dir.starts_with(home.root()) {
        // The directory outside, which is empty unless somebody else uses it.
        let _ = fs::remove_dir(&first.socket_dir);
    }
    Ok(())
}

/// Stops a server whose data directory was deleted. It would notice that by itself within a minute.
pub(crate) async fn stop_deleted(home: &Home, pid: i32) -> Result<(), PostgresError> {
    let began = crate::clock::instant();
    if pidfile::works_in_deleted(pid, &home.data()) {
        signal(home, pid, Signal::QUIT)?;
    }
    while pidfile::works_in_deleted(pid, &home.data()) {
        if began.elapsed() > STOP_TIMEOUT {
            let (data, log) = (home.data(), home.log());
            return Err(PostgresError::StopTimeout { data, pid, waited: began.elapsed(), log });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn interrupt(home: &Home, file: &PidFile) -> Result<(), PostgresError> {
    signal(home, file.pid, Signal::INT)
}

fn signal(home: &Home, pid: i32, signal: Signal) -> Result<(), PostgresError> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(PostgresError::io("stopping the server in", &home.data())(error.into())),
    }
}

fn failed(home: &Home, mark: u64, output: String) -> PostgresError {
    let log = home.log();
    PostgresError::StartFailed { data: home.data(), output, lines: log::since(&log, mark), log }
}

fn major_of(home: &Home) -> Result<u32, PostgresError> {
    let path = home.data().join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(PostgresError::io("reading", &path))?;
    text.trim().parse().map_err(|_| PostgresError::DataUnusable {
        path: home.data(),
        why: format!("its PG_VERSION contains the unknown version {:?}", text.trim()),
    })
}
