//! The daemon as a process of its own, and the command line that belongs to it.

use std::{fs, process::Command};

use super::place::Place;
use crate::testkit::process::Daemon;

/// Starts the daemon; what it logs is added to the place's log.
pub fn start(place: &Place) -> Daemon {
    let mut command = agentpod(place, &["run"]);
    let more = fs::read_to_string(place.environment()).unwrap_or_default();
    command.envs(more.lines().filter_map(|line| line.split_once('=')));
    let daemon = Daemon::start(&mut command, &place.log());
    fs::write(place.pid_file(), daemon.id().to_string()).unwrap();
    daemon
}

/// The command `agentpod` with the stand's settings, and none of ours.
pub fn agentpod(place: &Place, arguments: &[&str]) -> Command {
    let root = crate::testkit::root();
    let mut command = crate::testkit::agentpod();
    command.env("AGENTPOD_LOG", "agentpod=debug,warn");
    // The instance first: whoever sweeps up knows the daemon by it.
    command.args(["--instance", &place.name]).args(arguments);
    command.args(["--domain", "localhost", "--public-scheme", "http", "--entry-point", "web"]);
    // Not as a flag: a stand may be started with another one in its environment.
    command.env("AGENTPOD_REMOVAL_GRACE", "2s");
    command.env("AGENTPOD_SECRETS_DIR", "/");
    let listen = format!("127.0.0.1:{}", place.listen_port);
    command.args(["--network", &place.name, "--network-subnet", &place.subnet, "--listen", &listen]);
    command.args(["--public-port", &place.proxy_port.to_string()]);
    command.arg("--state-dir").arg(place.state()).arg("--source").arg(place.source());
    command.arg("--adapters").arg(root.join("adapters")).arg("--templates").arg(root.join("templates"));
    command
}
