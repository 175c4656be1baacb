//! What is refused: with an error that says what to do, before anything is sent that should not be.

use std::{fs, io::Read, net::TcpListener, os::unix::fs::PermissionsExt};

use super::stage::Stage;
use crate::testkit::{
    self,
    command::run_beside,
    dashboard::{OLGA, VICTOR},
};

#[tokio::test]
async fn without_a_valid_token_the_server_shows_nothing_and_the_error_says_what_to_do() {
    let stage = Stage::new().await;
    let said = stage.remote("", &["status"]).await;
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("needs an API token: give one as AGENTPOD_TOKEN or --token-file"), "{said:?}");
    let said = stage.remote("agp_nobody_0123456789abcdef", &["events", "-w"]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("refused the token") && !said.err.contains("agp_nobody"), "{said:?}");
}

#[tokio::test]
async fn a_token_may_be_in_a_file_that_nobody_else_can_read() {
    let stage = Stage::new().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    fs::write(&file, format!("{OLGA}\n")).unwrap();
    let arguments = ["tenants", "--token-file", file.to_str().unwrap()];
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let said = stage.remote("", &arguments).await;
    assert!(said.code == 1 && said.err.contains("others may have read it"), "{said:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    stage.remote("", &arguments).await.well();
}

#[tokio::test]
async fn a_token_is_not_sent_in_the_clear_to_another_machine() {
    // An address of this machine that does not look like loopback: nothing may arrive there.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["0.0.0.0", "agents.localhost"] {
        let mut command = testkit::agentpod();
        command.args(["status", "--server", &format!("http://{host}:{port}")]).env("AGENTPOD_TOKEN", OLGA);
        let said = run_beside(command).await;
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("is not encrypted") && said.err.contains("nothing was sent"), "{}", said.err);
        assert!(!said.err.contains(OLGA));
    }
    assert!(listener.accept().is_err(), "something connected");
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let (address, other) = (listener.local_addr().unwrap(), elsewhere.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{other}/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
    });
    let mut command = testkit::agentpod();
    command.args(["tenants", "--server", &format!("http://{address}")]).env("AGENTPOD_TOKEN", OLGA);
    let said = run_beside(command).await;
    answering.join().unwrap();
    assert!(said.code == 1 && said.err.contains("redirects to http://127.0.0.1"), "{said:?}");
    assert!(elsewhere.accept().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn a_server_that_is_not_an_agentpod_is_recognized() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (server, expected) in [
        (format!("http://127.0.0.1:{port}"), "cannot be reached"),
        (format!("https://127.0.0.1:{port}"), "cannot be reached"),
        ("pods.example.com".into(), "is not an address like https://agentpod.example.com"),
        ("https://olga@pods.example.com".into(), "is not an address like"),
    ] {
        let mut command = testkit::agentpod();
        command.args(["status", "--server", &server]).env_remove("AGENTPOD_TOKEN");
        let said = run_beside(command).await;
        assert!(said.code == 1 && said.err.contains(expected), "{server}: {said:?}");
    }
}

#[tokio::test]
async fn commands_that_need_this_machine_refuse_a_server() {
    let stage = Stage::new().await;
    for command in [
        &["plan"][..],
        &["apply"],
        &["diff"],
        &["orphans"],
        &["purge", "alice/assistant", "--yes"],
        &["open", "alice/assistant"],
        &["token", "show", "alice/assistant"],
        &["account", "list"],
        &["run"],
    ] {
        let said = stage.remote(OLGA, command).await;
        assert!(said.code == 1 && said.err.contains("does not work over --server"), "{command:?}: {said:?}");
    }
}

#[tokio::test]
async fn logs_of_a_server_that_does_not_know_the_secrets_are_not_shown() {
    let stage = Stage::new().await;
    let said = stage.remote(VICTOR, &["logs", "alice/assistant", "-f"]).await;
    assert!(said.code == 1 && said.out.is_empty() && said.err.contains("is a standby"), "{said:?}");
    let said = stage.remote(VICTOR, &["logs", "alice/nobody"]).await;
    assert!(said.code == 1 && said.err.contains("there is no pod alice/nobody"), "{said:?}");
}
