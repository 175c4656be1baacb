//! What tests that need a real engine share: a name of their own, waiting without sleeping, the engine's own command
//! line for what people do by hand, and a guard that cleans up whatever happens.

use std::{
    net::IpAddr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use agentpod::core::names::InstanceName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// An instance name that nobody else has, in this run or another.
pub fn unique_instance() -> InstanceName {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    format!("t{:x}-{:x}-{number}", std::process::id(), now.as_millis() & 0xff_ffff).parse().unwrap()
}

/// Asks again and again until there is an answer; fails with `what` when there is none within twenty seconds.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Runs `docker` as a person would; answers its output.
pub fn by_hand(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker command is installed");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// One HTTP request; `None` while nobody answers.
pub async fn http(method: &str, address: IpAddr, port: u16, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect((address, port)).await.ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Removes every container, volume and network with an instance's label when it goes, also when the test fails.
pub struct Cleanup(pub InstanceName);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let label = format!("label=agentpod.instance={}", self.0);
        let kinds: [(&[&str], &[&str]); 3] = [
            (&["ps", "--all", "--quiet", "--no-trunc"], &["rm", "--force", "--volumes"]),
            (&["volume", "ls", "--quiet"], &["volume", "rm", "--force"]),
            (&["network", "ls", "--quiet"], &["network", "rm"]),
        ];
        for (list, remove) in kinds {
            let Ok(found) = Command::new("docker").args(list).args(["--filter", &label]).output() else { continue };
            let found = String::from_utf8_lossy(&found.stdout).into_owned();
            let found: Vec<&str> = found.split_whitespace().collect();
            if !found.is_empty() {
                let _ = Command::new("docker").args(remove).args(found).output();
            }
        }
    }
}
