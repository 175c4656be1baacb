//! A test's own state directory, with helpers that do not use the code under test. Dropping it kills every PostgreSQL
//! process below the directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::testkit::wait::until;
use agentpod::postgres::EmbeddedPostgres;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

pub const HELPER: &str = "AGENTPOD_TEST_HELPER_STATE_DIR";

pub struct Place {
    pub dir: tempfile::TempDir,
    pub state: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        Place::named("state")
    }

    pub fn named(name: &str) -> Place {
        let dir = tempfile::Builder::new().prefix("agentpod-").tempdir().unwrap();
        // As root, the server runs as another user, who must be able to enter.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Place { state: dir.path().join(name), dir }
    }

    pub async fn open(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::open(&self.state, None).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn data(&self) -> PathBuf {
        self.state.join("postgres/data")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.state.join("postgres/server.log")).unwrap_or_default()
    }

    /// The postmasters of this directory, by command line. PostgreSQL overwrites that of its other processes shortly after
    /// they start; until then they are recognized by their parent.
    pub fn servers(&self) -> Vec<i32> {
        let start = format!("-D\0{}/", self.dir.path().display());
        let mut pids = processes();
        pids.retain(|pid| cmdline(*pid).contains(&start) && cmdline(*pid).contains("cluster_name=agentpod"));
        let all = pids.clone();
        pids.retain(|pid| !parent(*pid).is_some_and(|parent| all.contains(&parent)));
        pids
    }

    /// All processes that work in it, as far as visible.
    fn inhabitants(&self) -> Vec<i32> {
        let mut pids = processes();
        pids.retain(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(self.dir.path())));
        pids.extend(self.servers());
        pids
    }

    /// Kills a process with SIGKILL, and waits until it is dead.
    pub fn murder_server(&self) -> i32 {
        let [pid] = self.servers()[..] else { panic!("not one server: {:?}", self.servers()) };
        signal(pid, Signal::KILL);
        // Gone or a zombie: a process that is still exiting seems alive by its directory.
        until("the server is dead", || {
            fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
        });
        pid
    }

    /// This test program in a new process and process group, which opens this directory.
    pub fn helper(&self) -> Helper {
        let mut command = crate::testkit::as_process(super::MODULE, "helper_that_opens_and_waits");
        command.env(HELPER, &self.state).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        Helper(command.spawn().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for pid in self.servers() {
            signal(pid, Signal::QUIT); // Unlike KILL this frees its shared memory.
        }
        let began = Instant::now();
        loop {
            let left = self.inhabitants();
            if left.is_empty() || began.elapsed() > Duration::from_secs(15) {
                break;
            }
            if began.elapsed() > Duration::from_secs(5) {
                left.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Another AgentPod process, from the server's point of view.
pub struct Helper(pub Child);

impl Helper {
    pub fn wait_until_open(&mut self) {
        let lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("opened")), "the helper ended");
    }

    pub fn kill(mut self, with: Signal) {
        let pid = self.0.id() as i32;
        match with {
            Signal::INT => rustix::process::kill_process_group(Pid::from_raw(pid).unwrap(), with).unwrap(),
            _ => signal(pid, with),
        }
        self.0.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub async fn connect(server: &EmbeddedPostgres) -> PgConnection {
    PgConnection::connect_with(&server.connect_options()).await.unwrap()
}

pub async fn one(server: &EmbeddedPostgres, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&mut connect(server).await).await.unwrap()
}

fn processes() -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn cmdline(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

pub fn signal(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Programs that pretend to be PostgreSQL 99.
pub fn fake_binaries(dir: &Path) -> PathBuf {
    let dir = dir.join("fake");
    fs::create_dir(&dir).unwrap();
    for name in ["postgres", "initdb", "pg_ctl"] {
        fs::write(dir.join(name), "#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n").unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name may contain closing parentheses.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
