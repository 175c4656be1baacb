//! The webhook of the real daemon: a forge's delivery leads to a look at the source, anything else to none.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ring::hmac;
use tokio::net::TcpListener;

use crate::testkit::{
    self,
    docker::{Cleanup, unique_instance},
    files::open_folder,
    http, manifests,
    process::Daemon,
    subnet::Subnet,
    turn::Turn,
    wait::eventually,
};

const SECRET: &str = "3f6ae0c5d1b94a7e8b2c";
const PUSH: &[u8] = include_bytes!("../hooks/gitea-push.json");

/// A daemon on a folder with a tenant and no pod: a round costs nothing, and the next one comes after half a minute.
struct Stage {
    _daemon: Daemon,
    listen: u16,
    folder: tempfile::TempDir,
    _cleanup: Cleanup,
    _subnet: Subnet,
    _turn: Turn,
}

impl Stage {
    async fn start() -> Self {
        let turn = Turn::shared().await;
        let (instance, subnet) = (unique_instance(), Subnet::take());
        let folder = open_folder();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("manifests")).unwrap();
        fs::write(path("manifests/alice.yaml"), manifests::tenant("alice")).unwrap();
        fs::write(path("secrets"), format!("the-secret-that-goes-soon\n{SECRET}\n")).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut command = testkit::agentpod();
        command.args(["run", "--instance", instance.as_str(), "--listen", &format!("127.0.0.1:{listen}")]);
        command.args(["--network", &format!("{instance}-net"), "--network-subnet", &subnet.cidr()]);
        for (flag, name) in [("--state-dir", "state"), ("--source", "manifests"), ("--hook-secret-file", "secrets")] {
            command.arg(flag).arg(path(name));
        }
        let daemon = Daemon::start(&mut command, &path("log"));
        let stage = Self { _daemon: daemon, listen, folder, _cleanup: Cleanup(instance), _subnet: subnet, _turn: turn };
        eventually("the first revision is applied", async || {
            stage
                .status()
                .await
                .filter(|status| status["source"]["synced"] == true && status["source"]["healthy"] == true)
        })
        .await;
        stage
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn status(&self) -> Option<serde_json::Value> {
        Some(http::get(self.listen, "/api/v1/status").await?.json())
    }

    async fn rounds(&self) -> u64 {
        eventually("the daemon answers", async || self.status().await).await["rounds"].as_u64().unwrap()
    }

    /// Waits until no round was made for a while, and answers how many were made.
    async fn at_rest(&self) -> u64 {
        let (mut rounds, mut since) = (self.rounds().await, Instant::now());
        eventually("the daemon comes to rest", async || {
            let now = self.rounds().await;
            if now != rounds {
                (rounds, since) = (now, Instant::now());
            }
            (since.elapsed() > Duration::from_secs(3)).then_some(rounds)
        })
        .await
    }

    async fn deliver(&self, delivery: &str, signature: &str, body: &[u8]) -> (u16, String) {
        let headers = [
            ("content-type", "application/json"),
            ("x-gitea-event", "push"),
            ("x-gitea-delivery", delivery),
            ("x-gitea-signature", signature),
        ];
        let answer =
            http::ask("POST", ([127, 0, 0, 1], self.listen), "/hooks/git", &headers, body.to_vec()).await.unwrap();
        (answer.status, answer.body)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn signature(body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    hex::encode(tag)
}

#[tokio::test]
async fn a_signed_push_is_a_look_at_the_source_a_flood_of_them_few_and_a_forged_one_none() {
    let stage = Stage::start().await;

    let before = stage.at_rest().await;
    for (delivery, signature) in [("1", signature(b"another body")), ("2", String::new())] {
        let (status, body) = stage.deliver(delivery, &signature, PUSH).await;
        assert!(status == 401 && body.contains("does not show that it is genuine"), "{status} {body}");
    }
    assert_eq!(stage.rounds().await, before);

    let begun = Instant::now();
    let (status, body) = stage.deliver("3", &signature(PUSH), PUSH).await;
    assert_eq!((status, body.as_str()), (202, r#"{"accepted":true,"ref":"refs/heads/main"}"#));
    eventually("the delivery leads to a round", async || Some(stage.rounds().await).filter(|now| *now > before)).await;
    // The clock alone would have made one half a minute after the last.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let before = stage.at_rest().await;
    for number in 0..100 {
        let body = format!(r#"{{"ref":"refs/heads/main","after":"{number}"}}"#);
        let (status, _) = stage.deliver(&format!("flood-{number}"), &signature(body.as_bytes()), body.as_bytes()).await;
        assert_eq!(status, 202);
    }
    let made = stage.at_rest().await - before;
    assert!((1..=5).contains(&made), "100 deliveries made {made} rounds");
    assert!(!stage.log().contains(SECRET), "a secret stands in the log");
}

#[test]
fn a_webhook_without_a_usable_secret_keeps_the_daemon_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    fs::write(&file, "hunter2\n").unwrap();
    let start = |file: &Path, variable: &str| {
        let mut command = testkit::agentpod();
        command.env("AGENTPOD_HOOK_SECRET", variable).arg("run").arg("--hook-secret-file").arg(file);
        let output = command.arg("--state-dir").arg(folder.path().join("state")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (file, variable, part) in [
        (file.as_path(), "", "line 1 has fewer than 16 characters"),
        (Path::new("/nowhere/at/all"), "", "there is no such file"),
        (file.as_path(), SECRET, "set only one"),
    ] {
        let (code, err) = start(file, variable);
        assert!(code == Some(1) && err.contains(part), "{code:?} {err}");
        assert!(!err.contains("hunter2") && !err.contains(SECRET), "{err}");
    }
    assert!(!folder.path().join("state").exists(), "nothing was begun");
}
