//! What makes one stand differ from all others: a number, and everything that follows from it. The number is held by a
//! file lock, which goes with the process that holds it; whoever takes the number next clears what a killed one left.

use std::{
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::testkit::{
    docker::remove_all,
    subnet::{hold, is_free},
};

/// A stand's number and what follows from it.
pub struct Place {
    /// The instance's name, and the network's.
    pub name: String,
    /// Addresses of the network.
    pub subnet: String,
    /// Everything of the stand that is a file.
    pub folder: PathBuf,
    /// Where the proxy is reached on 127.0.0.1. Not a port the system gives to outgoing connections.
    pub proxy_port: u16,
    /// Where the daemon's own page is.
    pub listen_port: u16,
    _lock: File,
}

impl Place {
    /// The first place nobody uses, swept clean.
    pub fn take() -> Place {
        (1..=250u8).find_map(Place::try_take).expect("one of 250 places for stands is free")
    }

    fn try_take(number: u8) -> Option<Place> {
        let name = format!("stand-{number}");
        let folder = Path::new("/tmp").join(format!("agentpod-{name}"));
        let lock = hold("stand", number)?;
        let (proxy_port, listen_port) = (21_000 + u16::from(number), 22_000 + u16::from(number));
        let place =
            Place { name, subnet: format!("10.219.{number}.0/24"), folder, proxy_port, listen_port, _lock: lock };
        place.sweep();
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if !free(proxy_port) || !free(listen_port) || !is_free(&place.subnet) {
            return None;
        }
        // PostgreSQL runs as another user, who must get in.
        for folder in [&place.folder, &place.source(), &place.state()] {
            fs::create_dir(folder).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        Some(place)
    }

    /// The folder with the manifests.
    pub fn source(&self) -> PathBuf {
        self.folder.join("manifests")
    }

    /// The daemon's state.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// What the daemon logs.
    pub fn log(&self) -> PathBuf {
        self.folder.join("daemon.log")
    }

    /// More environment for the daemon: a line `NAME=VALUE` each.
    pub fn environment(&self) -> PathBuf {
        self.folder.join("environment")
    }

    /// What the daemon's process id is kept in, for whoever sweeps up after us.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("daemon.pid")
    }

    /// The label on what the stand itself made.
    pub fn label(&self) -> String {
        format!("agentpod.stand={}", self.name)
    }

    /// Removes everything that is left of a stand: processes, containers, volumes, network, files.
    fn sweep(&self) {
        end(&self.pid_file(), &format!("--instance\0{}\0", self.name));
        let postmaster = self.state().join("postgres/data/postmaster.pid");
        remove_all(&[&format!("agentpod.instance={}", self.name), &self.label()]);
        end(&postmaster, &format!("{}/", self.state().display()));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// Ends the process a file names, if it is the one that is meant: its command line holds `mark`.
fn end(pid_file: &Path, mark: &str) {
    let pid = || fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse::<i32>().ok();
    let Some(pid) = pid() else { return };
    let lives =
        || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark));
    let (Some(process), deadline) = (Pid::from_raw(pid), Instant::now() + Duration::from_secs(10)) else { return };
    // To PostgreSQL: away at once, with nothing left behind.
    let _ = lives() && kill_process(process, Signal::QUIT).is_ok();
    while lives() {
        if Instant::now() > deadline {
            let _ = kill_process(process, Signal::KILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
