//! The real daemon and the real command line, on a private database and no engine: making an account beside it, signing in,
//! and what stands in its files afterwards.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use tokio::net::TcpListener;

use super::stage::{FORM, PASSWORD, form};
use crate::testkit::{
    self,
    command::{Said, run},
    files::open_folder,
    http, manifests,
    process::Daemon,
    wait::eventually,
};

/// A folder for a daemon, and the daemon once it was started.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
    daemon: Option<Daemon>,
}

impl Place {
    async fn new() -> Self {
        let folder = open_folder();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        fs::write(folder.path().join("manifests/alice.yaml"), manifests::tenant("alice")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        Self { folder, port, daemon: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = testkit::agentpod();
        command.args(arguments).args(["--docker-host", "unix:///nowhere.sock"]);
        command.arg("--state-dir").arg(self.path("state")).arg("--source").arg(self.path("manifests"));
        command
    }

    /// Runs a command with something on its standard input.
    fn run(&self, arguments: &[&str], input: &str) -> Said {
        run(&mut self.command(arguments), input)
    }

    fn succeeds(&self, arguments: &[&str], input: &str) -> String {
        self.run(arguments, input).well().out
    }

    /// Starts the daemon, told to say everything it can, and waits until it answers.
    async fn start(&mut self) {
        let mut command = self.command(&["run", "--listen", &format!("127.0.0.1:{}", self.port)]);
        self.daemon = Some(Daemon::start(command.env("AGENTPOD_LOG", "trace"), &self.path("log")));
        eventually("the daemon answers", async || {
            (self.ask("GET", "/healthz", &[], "").await?.status == 200).then_some(())
        })
        .await;
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<http::Answer> {
        http::ask(method, ([127, 0, 0, 1], self.port), path, headers, body.to_owned()).await
    }

    async fn status(&self, headers: &[(&str, &str)]) -> u16 {
        self.ask("GET", "/api/v1/status", headers, "").await.unwrap().status
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.daemon = None;
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("{}", log.lines().filter(|line| line.contains("agentpod")).collect::<Vec<_>>().join("\n"));
        }
    }
}

#[tokio::test]
async fn an_account_made_beside_the_daemon_closes_it_and_what_lets_in_stands_in_no_file() {
    let mut place = Place::new().await;
    place.start().await;
    assert_eq!(place.status(&[]).await, 200, "no accounts: whoever is on the machine sees it");

    let file = place.path("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    place.succeeds(&["account", "add", "olga", "--role", "operator", "--password-file", file], "");
    assert_eq!(place.status(&[]).await, 401);

    let body = form(&[("name", "olga"), ("password", PASSWORD)]);
    let answer = place.ask("POST", "/login", &[("content-type", FORM)], &body).await.unwrap();
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookie = answer.cookie();
    assert_eq!(place.status(&[("cookie", &cookie)]).await, 200);
    let wrong = form(&[("name", "olga"), ("password", "a password that is wrong")]);
    assert_eq!(place.ask("POST", "/login", &[("content-type", FORM)], &wrong).await.unwrap().status, 401);

    let token = place.succeeds(&["account", "token", "olga", "--for", "a script"], "").trim().to_owned();
    assert!(token.starts_with("agp_") && token.len() == 4 + 43, "{token}");
    let bearer = format!("Bearer {token}");
    assert_eq!(place.status(&[("authorization", &bearer)]).await, 200);
    let listed = place.succeeds(&["account", "list", "-o", "json"], "");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed[0]["tokens"][0]["id"].to_string();
    assert_eq!((&listed[0]["role"], &listed[0]["tokens"][0]["for"]), (&"operator".into(), &"a script".into()));
    place.succeeds(&["account", "revoke-token", &id], "");
    assert_eq!(place.status(&[("authorization", &bearer)]).await, 401);

    place.succeeds(&["account", "password", "olga", "--password-stdin"], "another few green words\r\n");
    assert_eq!(place.status(&[("cookie", &cookie)]).await, 401, "its sessions ended");
    let anew = form(&[("name", "Olga "), ("password", "another few green words")]);
    assert_eq!(place.ask("POST", "/login", &[("content-type", FORM)], &anew).await.unwrap().status, 303);

    let events = place.succeeds(&["events"], "");
    for kind in
        ["account_added", "signed_in", "sign_in_failed", "api_token_created", "api_token_revoked", "password_changed"]
    {
        assert!(events.contains(kind), "{kind} is missing in {events}");
    }
    fs::remove_file(file).unwrap();
    place.daemon.take().unwrap().terminate().await;
    assert!(place.succeeds(&["events"], "").contains("daemon_stopped"));
    let id = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, "three+green+words", "another few green", "a password that is", id, &token, &token[9..]] {
        let found = Command::new("grep").args(["-rlaF", "--", secret]).arg(place.folder.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{secret:?} stands in these files");
    }
    assert!(fs::read_to_string(place.path("log")).unwrap().contains("TRACE"), "the log says all it can");
}

#[tokio::test]
async fn the_daemon_does_not_start_where_strangers_could_use_it() {
    let place = Place::new().await;
    for arguments in [
        &["run", "--listen", "0.0.0.0:0"][..],
        &["run", "--listen", "[::]:0"],
        &["run", "--listen", "127.0.0.1:0", "--dashboard-url", "https://pods.example.com"],
    ] {
        let Said { code, err, .. } = place.run(arguments, "");
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("nobody would have to sign in: make an account with agentpod account add"), "{err}");
    }
    for (arguments, part) in [
        (&["run", "--forward-auth-header", "Remote-User"][..], "--forward-auth-header needs --trusted-proxy"),
        (&["run", "--operator-group", "admins"], "--operator-group needs --forward-auth-header"),
        (&["run", "--trusted-proxy", "proxy"], "is not an address like 10.0.0.1"),
        (&["run", "--dashboard-url", "pods.example.com"], "is not an address like https://"),
    ] {
        let Said { code, err, .. } = place.run(arguments, "");
        assert!(code != 0 && err.contains(part), "{code} {err}");
    }
}

#[tokio::test]
async fn a_password_is_read_safely_and_a_weak_one_or_an_invalid_name_creates_no_account() {
    let place = Place::new().await;
    let exposed = place.path("exposed");
    fs::write(&exposed, PASSWORD).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = exposed.to_str().unwrap();
    let add = ["account", "add", "olga", "--role", "operator"];
    for (more, input, part) in [
        (&["--password-stdin"][..], "short\n", "fewer than 12 characters"),
        (&["--password-stdin"], "", "fewer than 12 characters"),
        (&["--password-stdin"], "two lines of\nwhat is one\n", "control character"),
        (&[], "three green words\n", "there is no terminal to type a password on"),
        (&["--password-file", exposed], "", "others may have read it"),
        (&["--tenant", "Not A Tenant"], "", "is not a tenant name"),
    ] {
        let Said { code, err, .. } = place.run(&[&add[..], more].concat(), input);
        assert!(code != 0 && err.contains(part), "{code} {err}");
    }
    let Said { code, err, .. } = place.run(&["account", "add", "Olga!", "--role", "viewer", "--no-password"], "");
    assert!(code == 1 && err.contains("is not an account name"), "{err}");
    assert!(!place.path("state").exists(), "nothing was begun");

    place.succeeds(&[&add[..], &["--tenant", "alice", "--no-password"]].concat(), "");
    let Said { code, err, .. } = place.run(&[&add[..], &["--no-password"]].concat(), "");
    assert!(code == 1 && err.contains("the account olga exists already"), "{err}");
    let list = place.succeeds(&["account", "list"], "");
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..4], ["olga", "operator", "alice", "no"], "{list}");
    for arguments in
        [&["account", "token", "nobody"][..], &["account", "disable", "nobody"], &["account", "revoke-token", "7"]]
    {
        let Said { code, err, .. } = place.run(arguments, "");
        assert!(code == 1 && err.contains("with agentpod account list"), "{err}");
    }
    let Said { code, err, .. } = place.run(&["account", "remove", "olga"], "");
    assert!(code == 1 && err.contains("--yes"), "{err}");
    place.succeeds(&["account", "remove", "olga", "--yes"], "");
    assert!(place.succeeds(&["account", "list"], "").contains("no accounts"));
}
