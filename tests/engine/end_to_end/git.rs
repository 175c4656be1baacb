//! Manifests from git, the whole way: a push and the forge's delivery replace one container and touch no other.

use std::fs;

use ring::hmac;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{echo, three_tenants};
use crate::testkit::{
    git_http::{GitHttp, Manner},
    repository::Repository,
    stand::{PATIENCE, Stand},
};

const HOOK_SECRET: &str = "an-end-to-end-secret-of-the-hook";
const IDS: [&str; 3] = ["alice/assistant", "bob/assistant", "carol/assistant"];

/// Delivers a push as Gitea does; answers the status.
async fn deliver(stand: &Stand, number: u32) -> String {
    let body = format!(r#"{{"ref":"refs/heads/main","after":"{number}"}}"#);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, HOOK_SECRET.as_bytes()), body.as_bytes());
    let signature = hex::encode(tag);
    let mut stream = TcpStream::connect(("127.0.0.1", stand.listen_port())).await.unwrap();
    let head = format!(
        "POST /hooks/git HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         X-Gitea-Event: push\r\nX-Gitea-Delivery: {number}\r\nX-Gitea-Signature: {signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

// The server answers while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_and_its_delivery_replace_the_changed_pod_and_leave_its_siblings_alone() {
    let mut stand = three_tenants().await;
    let before = IDS.map(|id| stand.container(id));

    // The same manifests from git: nothing is different.
    let repository = Repository::new();
    for tenant in ["alice", "bob", "carol"] {
        repository.write(&[(&format!("pods/{tenant}.yaml"), &echo(tenant, ""))]);
    }
    repository.push_all("three tenants");
    let server = GitHttp::start(repository.root(), Some("tess:s3cret-of-the-forge")).await;
    fs::write(stand.path("password"), "s3cret-of-the-forge\n").unwrap();
    let password = stand.path("password").display().to_string();
    let settings = [
        ("AGENTPOD_GIT", server.url()),
        ("AGENTPOD_GIT_BRANCH", "main".into()),
        ("AGENTPOD_GIT_PATH", "pods".into()),
        ("AGENTPOD_GIT_INTERVAL", "1h".into()),
        ("AGENTPOD_GIT_USER", "tess".into()),
        ("AGENTPOD_GIT_PASSWORD_FILE", password),
        ("AGENTPOD_HOOK_SECRET", HOOK_SECRET.into()),
    ];
    stand.restart_with(&settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let origin = format!("{}@main in pods/", server.url());
    let followed = async || {
        let status = stand.status().await?;
        (status["source"]["origin"] == *origin
            && status["source"]["synced"] == true
            && status["source"]["healthy"] == true)
            .then_some(())
    };
    stand.until("the repository is in force", PATIENCE, followed).await;
    for (id, before) in IDS.iter().zip(&before) {
        assert_eq!(stand.container(id).life(), before.life(), "{id}");
    }

    // A push alone is not seen before the hour is over; its delivery is, at once.
    repository.push(&[("pods/alice.yaml", &echo("alice", "config: {mode: pushed}"))], "alice is pushed");
    assert_eq!(deliver(&stand, 1).await, "202");
    let arrived =
        async || stand.containers(IDS[0]).iter().any(|one| one.variable("ECHO_MODE") == Some("pushed")).then_some(());
    stand.until("alice's change arrives", PATIENCE, arrived).await;
    stand.all_ready(&IDS).await;
    for (id, before) in IDS.iter().zip(&before).skip(1) {
        assert_eq!(stand.container(id).life(), before.life(), "{id} is left alone");
    }

    // And so it is when somebody asks for it, who is answered when it was fetched.
    repository.push(&[("pods/alice.yaml", &echo("alice", "config: {mode: asked}"))], "alice is pushed again");
    let said = stand.agentpod(&["sync"]);
    assert!(said.code == 0 && said.out.contains("the source was read; revision "), "{}{}", said.out, said.err);
    let arrived =
        async || stand.containers(IDS[0]).iter().any(|one| one.variable("ECHO_MODE") == Some("asked")).then_some(());
    stand.until("alice's next change arrives", PATIENCE, arrived).await;
    stand.all_ready(&IDS).await;

    // A remote that fails, and a push that empties the folder: said, and nothing else.
    let alice = stand.container(IDS[0]);
    server.answers(Manner::HangsUp);
    assert_eq!(deliver(&stand, 2).await, "202");
    let told = async |word: &str| {
        let status = stand.status().await?;
        status["source"]["problems"].to_string().contains(word).then_some(())
    };
    stand.until("it is said", PATIENCE, async || told("cannot fetch").await).await;
    server.answers(Manner::Well);
    repository.run(&["rm", "--quiet", "-r", "pods"]);
    repository.push(&[("README.md", "no pods any more")], "all gone");
    assert_eq!(deliver(&stand, 3).await, "202");
    stand.until("it is said", PATIENCE, async || told("no such folder").await).await;
    assert_eq!(stand.container(IDS[0]).life(), alice.life());
    for (id, before) in IDS.iter().zip(&before).skip(1) {
        assert_eq!(stand.container(id).life(), before.life(), "{id} is left alone");
    }
    for secret in ["s3cret-of-the-forge", HOOK_SECRET] {
        assert!(!stand.log().contains(secret), "{secret} stands in the log");
        stand.not_in_files(secret);
    }
}
