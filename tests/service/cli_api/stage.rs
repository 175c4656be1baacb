//! A server with two tenants' pods and three accounts with tokens, and commands against it.

use std::{net::SocketAddr, process::Command, sync::Arc};

use agentpod::{
    core::report::{phase::Phase, status::Status},
    dashboard::live::Heartbeat,
    store::{Event, Fetched, Measured, Store},
};
use sqlx::postgres::PgConnectOptions;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::testkit::{
    self,
    command::{Said, run_beside},
    dashboard::{Serve, Server, add_people, declare},
    declared::{Declared, pod},
    files::open_folder,
    postgres,
};
use agentpod::core::event::EventKind;
use agentpod::core::report::reason::Reason;

pub struct Stage {
    pub address: SocketAddr,
    pub store: Arc<Store>,
    options: PgConnectOptions,
    state: tempfile::TempDir,
    server: Server,
}

impl Stage {
    pub async fn new() -> Self {
        Self::at_pace(Heartbeat::default()).await
    }

    pub async fn at_pace(heartbeat: Heartbeat) -> Self {
        let state = open_folder();
        let options = postgres::database().await;
        let key = state.path().join("instance.key");
        let store = Store::open_with_key_file(options.clone(), &key, &"agentpod".parse().unwrap()).await.unwrap();
        let store = Arc::new(store);
        let now = OffsetDateTime::now_utc();
        add_people(&store).await;
        fill(&store, now).await;
        let server = Server::start(&store, Serve { heartbeat, ..Serve::default() }).await;
        Self { address: server.address, store, options, state, server }
    }

    /// Stops the server, and starts another one at its address.
    pub async fn restart_server(&mut self) {
        self.server.stop.cancel();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.server = Server::start_on(listener, &self.store, Serve::default()).await;
    }

    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command on the database.
    pub async fn local(&self, arguments: &[&str]) -> Said {
        run_beside(self.local_command(arguments)).await
    }

    /// The command before it runs.
    pub fn local_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(arguments);
        command.env("DATABASE_URL", postgres::url(&self.options));
        command.arg("--state-dir").arg(self.state.path());
        command
    }

    /// Runs a command on the server, as if from another machine: without database, state or home.
    pub async fn remote(&self, token: &str, arguments: &[&str]) -> Said {
        run_beside(self.remote_command(token, arguments)).await
    }

    /// The command before it runs.
    pub fn remote_command(&self, token: &str, arguments: &[&str]) -> Command {
        let mut command = self.program(arguments);
        command.args(["--server", &self.server()]).env("HOME", "/nowhere").env("AGENTPOD_STATE_DIR", "/proc/nowhere");
        command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nowhere");
        if !token.is_empty() {
            command.env("AGENTPOD_TOKEN", token);
        }
        command
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = testkit::agentpod();
        command.args(arguments).current_dir(self.state.path());
        command
    }
}

async fn fill(store: &Store, now: OffsetDateTime) {
    let declared = Declared::tenants()
        .pod("alice/assistant", "subdomain: alice, config: {greeting: hello}")
        .pod("alice/idle", "subdomain: idle, state: stopped")
        .pod("bob/helper", "subdomain: bob");
    let desired = declared.build();
    let files = [("pods.yaml".to_owned(), b"one".to_vec())].into();
    let adapters = agentpod::core::declare::adapter::AdapterFiles::default();
    let hash = agentpod::core::digest::Digest::of_files("", &files);
    let fetched = Fetched { hash: hash.as_str(), origin: "the test", commit: None, files: &files, adapters: &adapters };
    store.accept(&fetched, now).await.unwrap();
    declare(store, &desired).await;
    for (id, phase, message) in [
        ("alice/assistant", Phase::Running, "it is ready"),
        ("alice/idle", Phase::Stopped, "it is stopped"),
        ("bob/helper", Phase::Held, "its secret cannot be read"),
    ] {
        let (ready, container) = (phase == Phase::Running, Some(format!("{}-1", id.replace('/', "_"))));
        let status = Status {
            phase,
            ready,
            reason: Reason::StepFailed,
            message: message.into(),
            container,
            container_id: None,
            node: None,
        };
        store.write_status(&pod(id), &status, now).await.unwrap();
        let event =
            Event { cause: Some("it was declared".into()), ..Event::of_pod(&pod(id), EventKind::Changed, message) };
        // After the declaration, whose events have the time at which they were stored.
        store.record(&event, OffsetDateTime::now_utc()).await.unwrap();
    }
    let measured = Measured { pod: pod("alice/assistant"), memory_mb: 12, cpu_percent: 3.3, storage_mb: Some(5) };
    store.add_usage(&[measured], now).await.unwrap();
}
