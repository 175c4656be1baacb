//! Over SSH: which keys are accepted, and which hosts are trusted.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use agentpod::source::{
    Git,
    git::{Address, Credentials, GitSettings},
};

use super::{fetch, file, settings, texts, why};
use crate::testkit::{
    repository::{Repository, public},
    sshd::Sshd,
};

struct Stage {
    repository: Repository,
    server: Sshd,
    host_key: String,
}

impl Stage {
    fn new() -> Self {
        let repository = Repository::with(&[("a.yaml", "1")]);
        let (host, key) = (repository.key("host", ""), repository.key("key", ""));
        let server = Sshd::start(repository.root(), &host, &public(&key));
        Self { host_key: public(&host), server, repository }
    }

    /// Settings with a key and these known-hosts lines.
    fn settings(&self, key: &str, identities: &str) -> GitSettings {
        let path = self.repository.path("known_hosts");
        fs::write(&path, identities).unwrap();
        let credentials = Credentials { key: file(&self.repository.path(key)), ..Credentials::default() };
        let url = self.server.url(&self.repository.bare());
        GitSettings { credentials, known_hosts: Some(path), ..settings(&url, self.repository.root()) }
    }

    fn identities(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.server.port, self.host_key)
    }
}

fn fingerprint(key: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(key.with_extension("pub")).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn an_accepted_key_fetches_from_a_trusted_host() {
    let stage = Stage::new();
    let git = Git::new(stage.settings("key", &stage.identities()));
    let first = fetch(&git).await.unwrap();
    assert_eq!(texts(&first), "a.yaml=1");
    for number in 2..5 {
        stage.repository.push(&[("a.yaml", &number.to_string())], "more");
        assert_eq!(texts(&fetch(&git).await.unwrap()), format!("a.yaml={number}"));
    }
    assert!(!git.fetch().await);
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_an_encrypted_one_needs_its_passphrase() {
    let stage = Stage::new();
    stage.repository.key("stranger", "");
    let refused = fetch(&Git::new(stage.settings("stranger", &stage.identities()))).await.unwrap_err();
    assert_eq!(refused.code(), "source_denied", "{refused}");
    assert!(refused.to_string().contains("--git-ssh-key"), "{refused}");

    let sealed = stage.repository.key("sealed", "s3cret-phrase");
    let authorized = format!("{}\n{}\n", public(&stage.repository.path("key")), public(&sealed));
    fs::write(stage.repository.path("authorized_keys"), authorized).unwrap();
    let mut settings = stage.settings("sealed", &stage.identities());
    let without = why(fetch(&Git::new(settings.clone())).await);
    fs::write(stage.repository.path("phrase"), "s3cret-wrong\n").unwrap();
    settings.credentials.passphrase = file(&stage.repository.path("phrase"));
    let wrong = why(fetch(&Git::new(settings.clone())).await);
    assert!(!format!("{without} {wrong}").contains("s3cret"), "{without} {wrong}");
    fs::write(stage.repository.path("phrase"), "s3cret-phrase\n").unwrap();
    assert_eq!(texts(&fetch(&Git::new(settings)).await.unwrap()), "a.yaml=1");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_as_openssh_does() {
    let stage = Stage::new();
    let key = stage.repository.path("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let git = Git::new(stage.settings("key", &stage.identities()));
    let message = why(fetch(&git).await);
    assert!(message.contains("can be read by others on this machine (mode 0644)"), "{message}");
    assert!(message.contains(&format!("chmod 600 {}", key.display())), "{message}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1", "without a restart");
}

#[tokio::test]
async fn fetches_of_a_hanging_remote_do_not_pile_up() {
    let stage = Stage::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = stage.settings("key", &stage.identities());
    settings.address = Address::parse(&format!("ssh://git@{}/repo.git", silent.local_addr().unwrap())).unwrap();
    settings.timeout = Duration::from_millis(300);
    let git = Git::new(settings);
    for _ in 0..3 {
        assert!(why(fetch(&git).await).contains("did not answer within"));
    }
    assert!(why(fetch(&git).await).contains("did not answer this time or before"));
}

#[tokio::test]
async fn an_unknown_changed_or_revoked_host_key_is_refused_with_its_fingerprint() {
    let stage = Stage::new();
    let shown = fingerprint(&stage.repository.path("host"));
    let other = public(&stage.repository.key("other", ""));
    let port = stage.server.port;
    let place = format!("[127.0.0.1]:{port}");
    for (identities, what) in [
        (String::new(), "is not listed in"),
        (format!("127.0.0.1 {}\n", stage.host_key), "is not listed in"),
        (format!("{place} {other}\n"), "has changed"),
        (format!("@revoked {place} {}\n{}", stage.host_key, stage.identities()), "revoked"),
        (format!("@cert-authority {place} {}\n", stage.host_key), "is not listed in"),
    ] {
        let error = fetch(&Git::new(stage.settings("key", &identities))).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(error.code(), "source_unknown_host", "{identities}: {message}");
        assert!(
            message.contains(what) && message.contains(&shown) && message.contains("known_hosts"),
            "{identities}: {message}"
        );
        assert!(what == "revoked" || message.contains(&format!("ssh-keyscan -p {port}")), "{message}");
    }
    let missing = GitSettings {
        known_hosts: Some(stage.repository.path("no_such_file")),
        ..stage.settings("key", &stage.identities())
    };
    assert!(why(fetch(&Git::new(missing)).await).contains("is not listed in"));
}

#[tokio::test]
async fn a_host_is_found_by_its_hash_among_unrelated_lines() {
    let stage = Stage::new();
    fs::write(stage.repository.path("hashed"), stage.identities()).unwrap();
    let hashed = Command::new("ssh-keygen").arg("-Hf").arg(stage.repository.path("hashed")).output().unwrap();
    assert!(hashed.status.success());
    let hashed = fs::read_to_string(stage.repository.path("hashed")).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    let lines = format!("# mine\nnonsense\nother.example ssh-ed25519 AAAA\n\n{hashed}");
    assert_eq!(texts(&fetch(&Git::new(stage.settings("key", &lines))).await.unwrap()), "a.yaml=1");
}
