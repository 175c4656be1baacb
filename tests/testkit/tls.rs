//! A TLS server with a certificate of its own, which no authority vouches for.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::wait::until;

/// `openssl s_server`; killed when dropped.
pub struct Tls {
    process: Child,
    /// Where it listens, on this machine.
    pub port: u16,
    /// The file with its certificate.
    pub certificate: String,
}

impl Tls {
    /// Starts it for `localhost`, with what it needs in a folder.
    pub fn start(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = (path("certificate"), path("key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("openssl");
        server.args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}"), "-cert", &certificate]);
        let process = server.args(["-key", &key]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let server = Self { process, port, certificate };
        until("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
