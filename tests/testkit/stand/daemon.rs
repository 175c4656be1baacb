//! The daemon as a process of its own, and the command line that belongs to it.

use std::{
    fs::{self, OpenOptions},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;

/// `agentpod run`.
pub struct Daemon(Child);

impl Daemon {
    /// Starts it; what it logs is added to the place's log.
    pub fn start(place: &Place) -> Daemon {
        let log = OpenOptions::new().create(true).append(true).open(place.log()).unwrap();
        let (stdout, stdin) = (log.try_clone().unwrap(), Stdio::null());
        let mut command = agentpod(place, &["run"]);
        let more = fs::read_to_string(place.environment()).unwrap_or_default();
        command.envs(more.lines().filter_map(|line| line.split_once('=')));
        let child = command.stdin(stdin).stdout(stdout).stderr(log).spawn().unwrap();
        fs::write(place.pid_file(), child.id().to_string()).unwrap();
        Daemon(child)
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to stop, and waits; `None` if it had to be killed or died of a signal.
    pub async fn terminate(&mut self) -> Option<i32> {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if Instant::now() > deadline => {
                    self.kill();
                    return None;
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// The command `agentpod` with the stand's settings, and none of ours.
pub fn agentpod(place: &Place, arguments: &[&str]) -> Command {
    let root = crate::testkit::root();
    let mut command = crate::testkit::agentpod();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGENTPOD_") {
            command.env_remove(name);
        }
    }
    command.env_remove("DATABASE_URL").env("AGENTPOD_LOG", "agentpod=debug,warn").env("NO_COLOR", "1");
    // The instance first: whoever sweeps up knows the daemon by it.
    command.args(["--instance", &place.name]).args(arguments);
    command.args(["--domain", "localhost", "--public-scheme", "http", "--entry-point", "web"]);
    // Not as a flag: a stand may be started with another one in its environment.
    command.env("AGENTPOD_REMOVAL_GRACE", "2s");
    let listen = format!("127.0.0.1:{}", place.listen_port);
    command.args(["--network", &place.name, "--network-subnet", &place.subnet, "--listen", &listen]);
    command.args(["--public-port", &place.proxy_port.to_string()]);
    command.arg("--state-dir").arg(place.state()).arg("--source").arg(place.source());
    command.arg("--adapters").arg(root.join("adapters")).arg("--templates").arg(root.join("templates"));
    command
}
