//! What goes over the wire: logs as they come, and TLS with certificates that somebody must vouch for.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use assert_cmd::cargo::CommandCargoExt;

use super::stage::{OLGA, said};

fn asking(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("agentpod").unwrap();
    for variable in ["AGENTPOD_SERVER", "AGENTPOD_TOKEN_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(variable);
    }
    command.args(arguments).args(["--server", server]).env("AGENTPOD_TOKEN", OLGA).stdin(Stdio::null());
    command
}

/// Everything of a request up to its empty line.
fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[test]
fn a_followed_log_is_shown_line_by_line_while_it_is_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = asking(&format!("http://{address}"), &["logs", "alice/assistant", "-f", "-n", "7", "-t"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let head = request(&mut stream);
    assert!(
        head.starts_with("get /api/v1/pods/alice/assistant/logs?tail=7&follow=true&timestamps=true http/1.1"),
        "{head}"
    );
    assert!(head.contains(&format!("authorization: bearer {}\r\n", OLGA.to_lowercase())), "{head}");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let (sender, lines) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    // A line may come in pieces, and the next one only after it was shown.
    for (pieces, line) in [(&["one ", "line\n"][..], "one line"), (&["an\u{f6}ther\n"], "an\u{f6}ther")] {
        for piece in pieces {
            write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
        }
        assert_eq!(lines.recv_timeout(Duration::from_secs(20)).unwrap(), line);
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(child.wait().unwrap().success());
}

/// `openssl s_server` with a certificate of its own; killed when dropped.
struct Tls(Child);

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn over_tls_a_server_is_believed_when_an_authority_that_is_named_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
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
    let _server = Tls(server.args(["-key", &key]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the server does not start");
        std::thread::yield_now();
    }
    let url = format!("https://localhost:{port}");
    let stranger = said(asking(&url, &["tenants"])).await;
    assert!(stranger.code == 1 && stranger.err.contains("cannot be reached"), "{stranger:?}");
    assert!(stranger.err.contains("certificate") && stranger.err.contains("SSL_CERT_FILE"), "{stranger:?}");
    let mut command = asking(&url, &["tenants"]);
    command.env("SSL_CERT_FILE", &certificate);
    let known = said(command).await;
    // It is believed, and turns out to be no AgentPod.
    assert!(known.code == 1 && known.err.contains("answers what agentpod"), "{known:?}");
}
