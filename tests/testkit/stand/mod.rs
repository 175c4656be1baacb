//! A test stand: the real daemon, a real Traefik and real containers, apart from every other stand on the machine by
//! instance, network, addresses, ports and folder. When it goes, also with a failed test, nothing of it stays.

mod commands;
pub mod containers;
mod daemon;
mod place;
mod proxy;
mod web;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::postgres::PgConnectOptions;

use super::{http::Answer, postgres, process::Daemon};
use crate::testkit::turn::Turn;
use place::Place;
pub use web::Socket;

/// How long anything may take that is not said to take longer. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The stand.
pub struct Stand {
    daemon: Daemon,
    // Nearly last, for it cleans up when it goes.
    place: Place,
    _turn: Turn,
}

impl Stand {
    /// Puts manifests into a folder of their own, starts the daemon on it, and the proxy on the daemon's network.
    pub async fn start(manifests: &[(&str, &str)]) -> Stand {
        Self::start_in(Turn::shared().await, manifests).await
    }

    /// The same with no other stand beside it, for agents that need the machine.
    pub async fn start_alone(manifests: &[(&str, &str)]) -> Stand {
        Self::start_in(Turn::alone().await, manifests).await
    }

    async fn start_in(turn: Turn, manifests: &[(&str, &str)]) -> Stand {
        let place = Place::take();
        for (name, text) in manifests {
            fs::write(place.source().join(name), text).unwrap();
        }
        let daemon = daemon::start(&place);
        let stand = Stand { daemon, place, _turn: turn };
        let address = stand.until("the network is there", PATIENCE, async || stand.proxy_address()).await;
        proxy::start(&stand.place, &address);
        stand.until("the proxy answers", PATIENCE, async || stand.get("nobody", "/").await).await;
        stand
    }

    /// Writes a manifest the way editors do.
    pub fn save(&self, name: &str, text: &str) {
        let beside = self.place.folder.join("saving");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.place.source().join(name)).unwrap();
    }

    /// Deletes a manifest.
    pub fn delete(&self, name: &str) {
        fs::remove_file(self.place.source().join(name)).unwrap();
    }

    /// A path in the stand's folder, for secrets and the like.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder.join(name)
    }

    /// The daemon's state directory.
    pub fn state(&self) -> PathBuf {
        self.place.state()
    }

    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.place.name
    }

    /// The port the proxy is reached at.
    pub fn port(&self) -> u16 {
        self.place.proxy_port
    }

    /// The port of the daemon's own page.
    pub fn listen_port(&self) -> u16 {
        self.place.listen_port
    }

    /// The address people type for a subdomain.
    pub fn url(&self, subdomain: &str) -> String {
        format!("http://{subdomain}.localhost:{}", self.place.proxy_port)
    }

    /// A page or an answer of the daemon's own, whatever its status.
    pub async fn own(&self, path: &str) -> Answer {
        self.until(&format!("{path} is answered"), PATIENCE, async || {
            web::get(self.place.listen_port, "127.0.0.1", path).await
        })
        .await
    }

    /// What the daemon says of itself, if it answers.
    pub async fn status(&self) -> Option<Value> {
        let answer = web::get(self.place.listen_port, "127.0.0.1", "/api/v1/status").await?;
        serde_json::from_str(&answer.body).ok()
    }

    /// What the daemon says of a pod.
    pub async fn pod(&self, id: &str) -> Option<Value> {
        self.status().await?["pods"].get(id).cloned()
    }

    /// Waits until a pod is ready and nothing is left to do for it.
    pub async fn ready(&self, id: &str, limit: Duration) -> Value {
        let what = format!("{id} is ready");
        self.until(&what, limit, async || {
            self.pod(id).await.filter(|pod| pod["ready"] == true && pod["settled"] == true)
        })
        .await
    }

    /// Waits until all of these pods are ready.
    pub async fn all_ready(&self, ids: &[&str]) {
        for id in ids {
            self.ready(id, PATIENCE).await;
        }
    }

    /// Waits until a pod is in a phase.
    pub async fn phase(&self, id: &str, phase: &str, limit: Duration) -> Value {
        self.until(&format!("{id} is {phase}"), limit, async || self.pod(id).await.filter(|pod| pod["phase"] == phase))
            .await
    }

    /// Has the daemon make rounds for so long, at least three, with a look at the source in each.
    pub async fn rounds(&self, at_least: Duration) {
        let rounds = async || self.status().await.and_then(|status| status["rounds"].as_u64());
        let begun = Instant::now();
        for made in 0.. {
            if made >= 3 && begun.elapsed() >= at_least {
                return;
            }
            let before = self.until("the daemon makes rounds", PATIENCE, rounds).await;
            self.nudge();
            self.until("a change makes a round", PATIENCE, async || rounds().await.filter(|now| *now > before)).await;
        }
    }

    /// Changes something in the source that is no manifest: the daemon looks, and finds all as before.
    pub fn nudge(&self) {
        let now = std::time::SystemTime::now();
        fs::write(self.place.source().join("notes.txt"), format!("{now:?}")).unwrap();
    }

    /// Asks again and again until there is an answer; shows what the daemon knows and said when there is none in time.
    pub async fn until<T>(&self, what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if Instant::now() > deadline {
                let status = self.status().await.map(|status| serde_json::to_string_pretty(&status).unwrap());
                panic!("not within {limit:?}: {what}\nstatus: {}", status.unwrap_or_else(|| "no answer".into()));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Kills the daemon as a crash would.
    pub fn kill_daemon(&mut self) {
        self.daemon.kill();
    }

    /// Waits until the lease of a daemon that was killed is over.
    pub async fn nobody_leads(&self) {
        let is_over = async || self.agentpod(&["status"]).out.contains("not running").then_some(());
        self.until("nobody leads", PATIENCE, is_over).await;
    }

    /// Asks the daemon to stop and waits until it has; answers its exit code.
    pub async fn stop_daemon(&mut self) -> Option<i32> {
        self.daemon.terminate().await
    }

    /// Starts the daemon again.
    pub fn start_daemon(&mut self) {
        self.daemon = daemon::start(&self.place);
    }

    /// Stops the daemon in order and starts it with more in its environment.
    pub async fn restart_with(&mut self, environment: &[(&str, &str)]) {
        let lines: String = environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        assert_eq!(self.stop_daemon().await, Some(0));
        fs::write(self.place.environment(), lines).unwrap();
        self.start_daemon();
    }

    /// Every row of every table with where it lies, see [`postgres::dump`].
    pub async fn dump(&self) -> Vec<String> {
        let socket = self.place.state().join("postgres/run");
        let options = PgConnectOptions::new_without_pgpass().socket(&socket).username("agentpod").database("agentpod");
        postgres::dump(&options).await
    }

    /// Fails if a text stands in any file of the daemon's state, its database included.
    pub fn not_in_files(&self, text: &str) {
        let found =
            std::process::Command::new("grep").args(["-rlaF", "--", text]).arg(self.place.state()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{text:?} stands in these files");
    }

    /// Everything the daemon logged, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.log()).unwrap_or_default()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the daemon's last words:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        self.daemon.kill();
    }
}
