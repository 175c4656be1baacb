//! The daemon when what it stands on goes away: the engine, the database, itself. It stays up, says so once and once
//! more when it heals, changes nothing meanwhile, and goes on.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener, UnixStream},
};

use crate::testkit::{
    self,
    docker::{Cleanup, docker, unique_instance},
    files::{open_folder, save},
    http, manifests, postgres,
    process::Daemon,
    subnet::Subnet,
    turn::Turn,
    wait::eventually,
};

/// A daemon on manifests of its own, with an engine that can be cut off and a database that can be stopped.
struct Stage {
    folder: tempfile::TempDir,
    instance: String,
    listen: u16,
    database_url: Option<String>,
    switch: Arc<AtomicBool>,
    stuck: Arc<AtomicBool>,
    _cleanup: Cleanup,
    subnet: Subnet,
    _turn: Turn,
}

impl Stage {
    async fn new(database_url: Option<String>) -> Self {
        let instance = unique_instance();
        let folder = open_folder();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        let (switch, stuck) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let socket = folder.path().join("engine.sock");
        tokio::spawn(engine_behind_a_switch(socket, switch.clone(), stuck.clone()));
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let stage = Self {
            instance: instance.to_string(),
            listen,
            database_url,
            subnet: Subnet::take(),
            _turn: Turn::shared().await,
            switch,
            stuck,
            folder,
            _cleanup: Cleanup(instance),
        };
        stage.declare(&["a"]);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn declare(&self, pods: &[&str]) {
        let pod = |name: &&str| manifests::pod(&format!("t/{name}"), &format!("subdomain: {name}-{}", self.instance));
        let all: Vec<String> = [manifests::tenant("t")].into_iter().chain(pods.iter().map(pod)).collect();
        save(&self.path("manifests/all.yaml"), &manifests::together(&all));
    }

    fn command(&self, state: &str, listen: u16) -> Command {
        let mut command = testkit::agentpod();
        if let Some(url) = &self.database_url {
            command.env("DATABASE_URL", url);
        }
        command.args([
            "--state-dir",
            self.path(state).to_str().unwrap(),
            "--source",
            self.path("manifests").to_str().unwrap(),
        ]);
        command.args([
            "--instance",
            &self.instance,
            "--network",
            &format!("{}-net", self.instance),
            "--network-subnet",
            &self.subnet.cidr(),
        ]);
        command.args(["--docker-host", &format!("unix://{}", self.path("engine.sock").display())]);
        command.args(["--listen", &format!("127.0.0.1:{listen}"), "--public-scheme", "http", "--entry-point", "web"]);
        command
    }

    fn start(&self, state: &str, log: &str, listen: u16) -> Daemon {
        Daemon::start(self.command(state, listen).arg("run"), &self.path(log))
    }

    fn lines_with(&self, log: &str, what: &str) -> usize {
        fs::read_to_string(self.path(log)).unwrap_or_default().lines().filter(|line| line.contains(what)).count()
    }

    async fn status(&self) -> Option<serde_json::Value> {
        Some(http::get(self.listen, "/api/v1/status").await?.json())
    }

    /// What a daemon says of whether it is ready, and why not.
    async fn readyz(&self, listen: u16) -> Option<(u16, serde_json::Value)> {
        let answer = http::get(listen, "/readyz").await?;
        Some((answer.status, answer.json()))
    }

    /// Waits until a daemon is not ready, for a reason.
    async fn unready_reasons(&self, reason: &str) {
        eventually(&format!("it is not ready: {reason}"), async || {
            self.readyz(self.listen).await.filter(|(status, body)| {
                *status == 503
                    && body["reasons"].as_array().unwrap().iter().any(|why| why.as_str().unwrap().contains(reason))
            })
        })
        .await;
    }

    /// The lines that `agentpod status` prints.
    fn status_text(&self) -> Vec<String> {
        let output = self.command("state", self.listen).arg("status").output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    async fn ready(&self, pod: &str) {
        eventually(&format!("{pod} is ready"), async || {
            self.status().await.filter(|status| status["pods"][format!("t/{pod}")]["ready"] == true)
        })
        .await;
    }

    fn containers(&self) -> Vec<String> {
        let label = format!("label=agentpod.instance={}", self.instance);
        let mut names: Vec<String> =
            docker(&["ps", "--all", "--no-trunc", "--filter", &label, "--format", "{{.ID}} {{.Names}}"])
                .lines()
                .map(str::to_owned)
                .collect();
        names.sort();
        names
    }
}

/// Passes connections on to the real engine while the switch is on, and cuts them when it is off. Anything asked to start
/// while `stuck` is on is never answered.
async fn engine_behind_a_switch(path: PathBuf, switch: Arc<AtomicBool>, stuck: Arc<AtomicBool>) {
    let listener = UnixListener::bind(path).unwrap();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (switch, stuck) = (switch.clone(), stuck.clone());
        tokio::spawn(async move {
            if !switch.load(Ordering::SeqCst) {
                return;
            }
            let Ok(mut engine) = UnixStream::connect("/var/run/docker.sock").await else { return };
            let cut = async {
                while switch.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let (mut from_client, mut to_client) = client.split();
            let (mut from_engine, mut to_engine) = engine.split();
            let ask = async {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                    let head = String::from_utf8_lossy(&bytes[..read.min(200)]).into_owned();
                    if stuck.load(Ordering::SeqCst) && head.starts_with("POST ") && head.contains("/start ") {
                        std::future::pending::<()>().await;
                    }
                    if to_engine.write_all(&bytes[..read]).await.is_err() {
                        break;
                    }
                }
                let _ = to_engine.shutdown().await;
            };
            let answer = async { drop(tokio::io::copy(&mut from_engine, &mut to_client).await) };
            tokio::select! {
                _ = futures_util::future::join(ask, answer) => {}
                () = cut => {}
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_is_reported_once_and_again_when_it_is_back() {
    let stage = Stage::new(None).await;
    stage.switch.store(false, Ordering::SeqCst);
    let _daemon = stage.start("state", "log", stage.listen);
    eventually("it stays up without an engine", async || {
        stage.status().await.filter(|status| status["rounds"].as_u64() >= Some(2))
    })
    .await;
    assert!(stage.status().await.unwrap()["engine"].as_str().unwrap().contains("does not answer"));
    stage.switch.store(true, Ordering::SeqCst);
    stage.ready("a").await;
    let before = stage.containers();
    assert_eq!(before.len(), 1);
    let told = stage.lines_with("log", "AgentPod changes nothing until the engine answers");

    stage.switch.store(false, Ordering::SeqCst);
    eventually("it notices", async || stage.status().await.filter(|status| !status["engine"].is_null())).await;
    stage.unready_reasons("the container engine does not answer").await;
    let rounds = stage.status().await.unwrap()["rounds"].as_u64().unwrap();
    eventually("it goes on trying", async || {
        stage.status().await.filter(|status| status["rounds"].as_u64() >= Some(rounds + 2))
    })
    .await;
    assert_eq!(stage.status().await.unwrap()["pods"]["t/a"]["phase"], "Unknown");
    assert_eq!(stage.lines_with("log", "AgentPod changes nothing until the engine answers"), told + 1, "told once");

    stage.switch.store(true, Ordering::SeqCst);
    stage.ready("a").await;
    assert_eq!(stage.containers(), before, "nothing was made anew");
    assert!(stage.lines_with("log", "the container engine answers again") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_holds_everything_and_what_was_saved_meanwhile_is_done_later() {
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    let _daemon = stage.start("state", "log", stage.listen);
    stage.ready("a").await;
    let before = stage.containers();

    server.stop();
    stage.declare(&["a", "b"]);
    eventually("it notices", async || stage.status().await.filter(|status| !status["database"].is_null())).await;
    stage.unready_reasons("the database does not answer").await;
    eventually("it goes on trying", async || {
        (stage.lines_with("log", "AgentPod changes nothing until the database can be used") > 0).then_some(())
    })
    .await;
    assert_eq!(stage.containers(), before, "nothing is changed meanwhile");

    server.start();
    stage.ready("b").await;
    assert!(stage.containers().contains(&before[0]), "the first pod was not touched");
    assert_eq!(stage.lines_with("log", "AgentPod changes nothing until the database can be used"), 1, "told once");
    assert_eq!(stage.lines_with("log", "the database answers again"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_stands_by_and_takes_over_when_the_first_is_killed() {
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    let first = stage.start("state", "first", stage.listen);
    stage.ready("a").await;
    let before = stage.containers();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut second = stage.start("state", "second", other);
    eventually("it stands by", async || (stage.lines_with("second", "standing by") > 0).then_some(())).await;
    let status = stage.status().await.unwrap();
    assert!(status["role"] == "active" && status["role_since"].is_string(), "{status}");
    let standby = http::get(other, "/api/v1/status").await.unwrap().body;
    assert!(standby.contains(r#""role":"standby","role_since":"2"#), "{standby}");
    let (code, body) = stage.readyz(other).await.unwrap();
    assert_eq!((code, &body["role"]), (200, &serde_json::json!("standby")), "ready to take over: {body}");

    first.signal(rustix::process::Signal::KILL);
    stage.declare(&["a", "b"]);
    eventually("the second one made the new pod", async || (stage.containers().len() == 2).then_some(())).await;
    assert!(stage.containers().contains(&before[0]), "the first pod was not touched");
    assert_eq!(stage.readyz(other).await.unwrap().1["role"], "active");

    second.signal(rustix::process::Signal::TERM);
    assert_eq!(second.ended().await, Some(0), "it stops in order");
    assert_eq!(stage.containers().len(), 2, "agents keep running");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_than_before_is_refused_and_the_address_is_not_repeated() {
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    let mut daemon = stage.start("state", "log", stage.listen);
    stage.ready("a").await;
    daemon.signal(rustix::process::Signal::TERM);
    daemon.ended().await;
    stage.declare(&["a", "b"]);
    let plan = stage.command("state", stage.listen).arg("plan").output().unwrap();
    assert_eq!(plan.status.code(), Some(2), "{}", String::from_utf8_lossy(&plan.stderr));
    assert!(String::from_utf8_lossy(&plan.stdout).contains("t/b: it has no container"));
    assert_eq!(stage.containers().len(), 1, "a plan does nothing");

    let mut other = stage.command("state", stage.listen);
    let refused =
        other.arg("plan").env("DATABASE_URL", "postgres://me:hunter2secret@127.0.0.1:1/elsewhere").output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(error.contains("was used with the database") && !error.contains("hunter2secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_a_revision_in_force_is_not_ready_and_says_what_is_wrong() {
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    let good = fs::read(stage.path("manifests/all.yaml")).unwrap();
    fs::write(stage.path("manifests/all.yaml"), "kind: Pood\n").unwrap();
    let _daemon = stage.start("state", "log", stage.listen);
    stage.unready_reasons("no revision is in force: all.yaml").await;
    let code = http::get(stage.listen, "/healthz").await.unwrap().status;
    assert_eq!(code, 200, "it lives");
    assert_eq!(
        stage.status_text()[1],
        "source: no revision is in force; the newest, 71bc6454d6ff, was rejected with 1 problem, see agentpod revisions 1"
    );

    fs::write(stage.path("manifests/all.yaml"), good).unwrap();
    let ready = async || stage.readyz(stage.listen).await.filter(|(code, _)| *code == 200);
    let (_, body) = eventually("it is ready", ready).await;
    assert_eq!(body, serde_json::json!({"ready": true, "role": "active", "reasons": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_how_old_it_is_when_nobody_keeps_it_up_to_date() {
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    let mut daemon = stage.start("state", "log", stage.listen);
    stage.ready("a").await;
    let applied = async || Some(stage.status_text()).filter(|lines| lines[1].ends_with(", synced, healthy"));
    let lines = eventually("the revision is applied", applied).await;
    assert!(lines[0].starts_with("daemon: running since 2") && lines[0].contains("s ago) on "), "{lines:?}");
    assert!(lines[1].contains("/manifests, revision ") && lines[1].contains(" in force for "), "{lines:?}");

    daemon.signal(rustix::process::Signal::TERM);
    daemon.ended().await;
    let lines = stage.status_text();
    assert!(lines[0].starts_with("daemon: not running; this is as of 2"), "{lines:?}");

    let mut daemon = stage.start("state", "log", stage.listen);
    stage.ready("a").await;
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended().await;
    let lost = async || Some(stage.status_text()).filter(|lines| lines[0].contains("ended abruptly"));
    let lines = eventually("the server notices that it is gone", lost).await;
    assert!(lines[0].starts_with("daemon: not running, and the last one ended"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_although_steps_are_under_way() {
    use rustix::process::Signal;
    let server = postgres::Server::start_new();
    let stage = Stage::new(Some(postgres::url(&server.database().await))).await;
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM), (Signal::TERM, Signal::INT)] {
        stage.stuck.store(true, Ordering::SeqCst);
        let mut daemon = stage.start("state", "log", stage.listen);
        let begun = async || {
            stage.status().await.filter(|status| {
                status["pods"]["t/a"]["doing"].as_str().is_some_and(|doing| doing.starts_with("start "))
            })
        };
        eventually("a start is under way", begun).await;
        let told = stage.lines_with("log", "Signal again to stop at once");
        daemon.signal(first);
        eventually("it heard", async || (stage.lines_with("log", "Signal again to stop at once") > told).then_some(()))
            .await;
        // It sees the start through, which never ends. The wait is the point: nothing may happen in it.
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(daemon.has_ended(), None, "it sees its steps through");
        let asked = std::time::Instant::now();
        daemon.signal(second);
        assert_eq!(daemon.ended().await, Some(130), "{first:?}, {second:?}");
        assert!(asked.elapsed() < Duration::from_secs(2), "at once");
    }
    // What was left in the middle is finished by the next one.
    stage.stuck.store(false, Ordering::SeqCst);
    let _daemon = stage.start("state", "log", stage.listen);
    stage.ready("a").await;
    assert_eq!(stage.containers().len(), 1);
}
