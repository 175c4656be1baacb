//! Connections: streamed logs, and TLS with certificates of a named authority.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::testkit::{self, command::run_beside, dashboard::OLGA, tls::Tls};

fn remote_command(server: &str, arguments: &[&str]) -> Command {
    let mut command = testkit::agentpod();
    for variable in ["AGENTPOD_SERVER", "AGENTPOD_TOKEN_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(variable);
    }
    command.args(arguments).args(["--server", server]).env("AGENTPOD_TOKEN", OLGA).stdin(Stdio::null());
    command
}

/// The head of a request, up to the empty line.
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
    let mut child = remote_command(&format!("http://{address}"), &["logs", "alice/assistant", "-f", "-n", "7", "-t"])
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
    // A line may arrive in pieces, and the next one only after it was printed.
    for (pieces, line) in [(&["one ", "line\n"][..], "one line"), (&["an\u{f6}ther\n"], "an\u{f6}ther")] {
        for piece in pieces {
            write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
        }
        assert_eq!(lines.recv_timeout(Duration::from_secs(20)).unwrap(), line);
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn a_server_is_trusted_if_a_named_authority_signed_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let server = Tls::start(folder.path());
    let url = format!("https://localhost:{}", server.port);
    let stranger = run_beside(remote_command(&url, &["tenants"])).await;
    assert!(stranger.code == 1 && stranger.err.contains("cannot be reached"), "{stranger:?}");
    assert!(stranger.err.contains("certificate") && stranger.err.contains("SSL_CERT_FILE"), "{stranger:?}");
    let mut command = remote_command(&url, &["tenants"]);
    command.env("SSL_CERT_FILE", &server.certificate);
    let known = run_beside(command).await;
    // It is trusted, but not an AgentPod.
    assert!(known.code == 1 && known.err.contains("sent an answer that agentpod"), "{known:?}");
}
