//! The server's process: started, measured from outside, ended with our end.

use std::{
    fmt, fs,
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A server whose pods are ready, and the database it works on.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    database: u32,
}

impl Process {
    pub async fn start(options: &PgConnectOptions, probes: u16) -> Self {
        let folder = options.get_socket().unwrap().display().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", &folder, options.get_database().unwrap(), &probes.to_string()]);
        // It ends with its input, and that ends with us.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().expect("the server gets ready").parse().unwrap();
        let database = fs::read_to_string(format!("{folder}/data/postmaster.pid")).unwrap();
        Self { address, child, database: database.lines().next().unwrap().parse().unwrap() }
    }

    /// MiB it holds.
    pub fn memory(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

/// Processor time spent so far.
pub struct Measured {
    at: Instant,
    server: f64,
    database: f64,
}

/// What was spent in a while: shares of one processor, and the server's memory at the end.
pub struct Spent {
    server: f64,
    database: f64,
    memory: f64,
}

impl Measured {
    pub fn of(process: &Process) -> Self {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // The database's server makes a process for each connection, all of them its children.
        let databases = processes.filter_map(times).filter(|(parent, _)| *parent == process.database);
        Self {
            at: Instant::now(),
            server: times(process.pid()).map_or(0.0, |(_, seconds)| seconds),
            database: databases.map(|(_, seconds)| seconds).sum(),
        }
    }

    /// What was spent between this and now.
    pub fn until_now(&self, process: &Process) -> Spent {
        let now = Self::of(process);
        let passed = (now.at - self.at).as_secs_f64();
        Spent {
            server: (now.server - self.server) / passed * 100.0,
            database: (now.database - self.database) / passed * 100.0,
            memory: process.memory(),
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, database, memory } = self;
        write!(f, "processor: server {server:.0} %, database {database:.0} %; memory of the server {memory:.0} MiB")
    }
}

/// A process's parent, and the seconds of processor time it took.
fn times(pid: u32) -> Option<(u32, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    // Linux counts in hundredths towards programs, whatever it does itself.
    let seconds = (fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?) / 100.0;
    Some((fields[1].parse().ok()?, seconds))
}

/// The given share of them is not above this.
pub fn quantile(times: &mut [Duration], share: f64) -> String {
    times.sort();
    let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1;
    format!("{:.1} ms", times[place].as_secs_f64() * 1e3)
}
