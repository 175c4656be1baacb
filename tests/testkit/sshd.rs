//! A real OpenSSH server on this machine alone, with a host key and one key that is let in; gone when it is dropped.

use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The server.
pub struct Sshd {
    process: Child,
    /// Where it listens.
    pub port: u16,
}

impl Sshd {
    /// Starts it in a folder, with the host key in one file, for whoever has the key in the other.
    pub fn start(folder: &Path, host_key: &Path, authorized: &str) -> Self {
        // Of the user's own files it needs to be sure that nobody else may write them.
        fs::write(folder.join("authorized_keys"), format!("{authorized}\n")).unwrap();
        fs::set_permissions(folder.join("authorized_keys"), fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            let _ = fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd");
        }
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(process) = listening(folder, host_key, port) {
                return Self { process, port };
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(folder.join("sshd.log")).unwrap_or_default());
    }

    /// The address of a repository there.
    pub fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", user(), self.port, repository.display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listening(folder: &Path, host_key: &Path, port: u16) -> Option<Child> {
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
        host_key.display(),
        folder.join("authorized_keys").display()
    );
    let file = folder.join("sshd_config");
    fs::write(&file, config).unwrap();
    let mut process = Command::new(program())
        .args(["-D", "-E"])
        .arg(folder.join("sshd.log"))
        .arg("-f")
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .expect("openssh-server is installed");
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
        let mut greeting = [0; 4];
        let greeted = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| stream.read_exact(&mut greeting));
        if greeted.is_ok() && greeting == *b"SSH-" {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

/// It wants to be started by its full path.
fn program() -> PathBuf {
    let found =
        ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].iter().map(PathBuf::from).find(|at| at.exists());
    found.expect("openssh-server is installed")
}

fn user() -> String {
    let output = Command::new("id").arg("--user").arg("--name").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
