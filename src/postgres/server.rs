//! Starting the server, waiting until it is ready, and stopping it. Only during our turn (see `lock`). It may not
//! give up on a server that is still at work: that one is left to go on, and the next to come finds it.

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

/// Recovery after a crash takes a while; more than this is worth a word.
pub const READY: Duration = Duration::from_secs(120);
/// For the checkpoint at the end.
pub const STOP: Duration = Duration::from_secs(60);
/// Sessions of a killed server end by themselves, usually at once; until then PostgreSQL refuses to start.
const LEFTOVERS: Duration = Duration::from_secs(10);
const REFUSAL: &str = "is still in use";
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone)]
pub struct ServerProcess {
    pub pid: i32,
    pub socket_dir: PathBuf,
}

/// The ready server, and whether it had to be started.
pub async fn bring_up(home: &Home, search: &Search) -> Result<(ServerProcess, bool), PostgresError> {
    let began = crate::clock::instant();
    let mark = log::end(&home.log());
    let mut started = false;
    loop {
        match pidfile::look(home)? {
            PidFileState::Alive(file)
                if file.status == ServerPhase::Ready && home::socket_file(&file.socket_dir).exists() =>
            {
                return Ok((ServerProcess { pid: file.pid, socket_dir: file.socket_dir }, started));
            }
            PidFileState::Elsewhere(file) => {
                return Ok((ServerProcess { pid: file.pid, socket_dir: file.socket_dir }, false));
            }
            PidFileState::Alive(file) if began.elapsed() > READY => {
                let (data, log, lines) = (home.data(), home.log(), log::since(&home.log(), mark));
                return Err(PostgresError::NotReady { data, pid: file.pid, waited: began.elapsed(), log, lines });
            }
            PidFileState::Alive(file) if file.status == ServerPhase::Starting => {}
            // Stopping, it refuses new connections for as long as an old one lasts; without its socket nobody can
            // reach it. So it goes at once, and then comes a new one.
            PidFileState::Alive(file) => {
                interrupt(home, &file)?;
                started = false;
            }
            PidFileState::Gone { .. } if started => {
                return Err(failed(home, mark, "it ended right after its start".to_owned()));
            }
            PidFileState::Gone { misleading } => {
                start(home, search, misleading).await?;
                started = true;
                continue;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn start(home: &Home, search: &Search, misleading: bool) -> Result<(), PostgresError> {
    let data = home.data();
    let exists = home.has_data()?;
    let owner = Owner::of(&data)?;
    reach::must_reach(&owner, home.root()).await?;
    let wanted = if exists { Some(major_of(home)?) } else { None };
    let binaries = search.find(&data, wanted).await?;
    if !exists {
        create::create(home, &binaries, &owner).await?;
    }
    let socket_dir = home.socket_dir()?;
    files::own_dir(&socket_dir, &owner)?;
    files::own_log(home, &owner)?;
    files::remove_old_socket(&socket_dir)?;
    if misleading {
        // PostgreSQL goes by the process id alone and would refuse. Its other safeguard, shared memory that names
        // the directory and is in use, does not need the file.
        files::remove_old(&pidfile::path(home))?;
    }

    let began = crate::clock::instant();
    loop {
        // pg_ctl gives the server a session of its own, away from our terminal, and waits for its eighth line.
        let mut pg_ctl = process::command(&binaries.program("pg_ctl"), &owner, home.root());
        pg_ctl.env("PGDATA", &data).args(["start", "-s", "-w", "-l", "server.log"]);
        pg_ctl.args(["-t", &READY.as_secs().to_string(), "-o", &settings::arguments(&data, &socket_dir)]);
        let mark = log::end(&home.log());
        let output = process::run(pg_ctl, &owner, "").await?;
        // Slow to start, or a killed AgentPod had one on its way: no failure while a server is there.
        if output.status.success() || matches!(pidfile::look(home)?, PidFileState::Alive(_)) {
            return Ok(());
        }
        if began.elapsed() > LEFTOVERS || !log::since(&home.log(), mark).contains(REFUSAL) {
            return Err(failed(home, mark, process::said(&output).replace('\n', "; ")));
        }
        tokio::time::sleep(10 * LOOK).await;
    }
}

/// Asks it to end its sessions and go, and waits until it is gone.
pub async fn stop(home: &Home) -> Result<(), PostgresError> {
    let began = crate::clock::instant();
    let PidFileState::Alive(first) = pidfile::look(home)? else { return Ok(()) };
    interrupt(home, &first)?;
    // Its file going is not enough: it removes that a moment before it ends.
    while pidfile::works_in(first.pid, &home.data()) {
        if began.elapsed() > STOP {
            let (data, log) = (home.data(), home.log());
            return Err(PostgresError::StopTimeout { data, pid: first.pid, waited: began.elapsed(), log });
        }
        tokio::time::sleep(LOOK).await;
    }
    if !first.socket_dir.starts_with(home.root()) {
        // The short one outside. It is empty now; if not, something of somebody's is in it.
        let _ = fs::remove_dir(&first.socket_dir);
    }
    Ok(())
}

fn interrupt(home: &Home, file: &PidFile) -> Result<(), PostgresError> {
    let Some(pid) = Pid::from_raw(file.pid) else { return Ok(()) };
    match kill_process(pid, Signal::INT) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(PostgresError::io("stopping the server in", &home.data())(error.into())),
    }
}

fn failed(home: &Home, mark: u64, said: String) -> PostgresError {
    let log = home.log();
    PostgresError::StartFailed { data: home.data(), said, lines: log::since(&log, mark), log }
}

fn major_of(home: &Home) -> Result<u32, PostgresError> {
    let path = home.data().join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(PostgresError::io("reading", &path))?;
    text.trim().parse().map_err(|_| PostgresError::DataUnusable {
        path: home.data(),
        why: format!("its PG_VERSION says {:?}, which is no version we know", text.trim()),
    })
}
