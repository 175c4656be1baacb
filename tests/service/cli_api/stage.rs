//! An AgentPod's server with two tenants' pods and three people with tokens, and the program to ask it with.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::Arc,
};

use agentpod::{
    config::AccessSettings,
    core::{
        access::{Person, Role},
        report::status::{Phase, Status},
    },
    dashboard::{
        Dashboard,
        api::{Api, SettingsView},
        auth::Auth,
        live::{Live, Pace},
        routes, serve_on,
    },
    reconcile::DaemonStatus,
    store::{Event, Fetched, Measured, Store},
};
use sqlx::postgres::PgConnectOptions;
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::testkit::{
    self,
    declared::{Declared, pod},
    postgres,
};

/// Everybody's operator, everybody's viewer, and the operator of the tenant alice, by their tokens.
pub const OLGA: &str = "agp_olga_0123456789abcdef";
pub const VICTOR: &str = "agp_victor_0123456789abcdef";
pub const ALAN: &str = "agp_alan_0123456789abcdef";

pub struct Stage {
    pub address: SocketAddr,
    pub store: Arc<Store>,
    options: PgConnectOptions,
    state: tempfile::TempDir,
    serving: Serving,
}

/// A server, until it is dropped.
struct Serving {
    stop: CancellationToken,
    _overview: watch::Sender<DaemonStatus>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it said, with every age alike: two commands are not typed in the same second.
    pub fn ageless(&self) -> String {
        let is_age = |word: &str| {
            let word = word.trim_matches(|c| matches!(c, '(' | ')' | ',' | ':'));
            word.strip_suffix(['s', 'm']).is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let words = |line: &str| {
            let words = line.split_whitespace().map(|word| if is_age(word) { "AGE" } else { word });
            words.collect::<Vec<_>>().join(" ")
        };
        self.out.lines().map(words).collect::<Vec<_>>().join("\n")
    }

    /// Itself, if all went well.
    pub fn well(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Stage {
    pub async fn new() -> Self {
        Self::at_pace(Pace::default()).await
    }

    pub async fn at_pace(pace: Pace) -> Self {
        let state = tempfile::tempdir().unwrap();
        fs::set_permissions(state.path(), Permissions::from_mode(0o755)).unwrap();
        let options = postgres::database().await;
        let key = state.path().join("instance.key");
        let store = Store::open_with_key_file(options.clone(), &key, &"agentpod".parse().unwrap()).await.unwrap();
        let store = Arc::new(store);
        let now = OffsetDateTime::now_utc();
        for (name, role, tenant, token) in [
            ("olga", Role::Operator, None, OLGA),
            ("victor", Role::Viewer, None, VICTOR),
            ("alan", Role::Operator, Some("alice"), ALAN),
        ] {
            let tenant = tenant.map(|tenant| tenant.parse().unwrap());
            store.add_account(&Person { name: name.into(), role, tenant }, None, "the test", now).await.unwrap();
            store.add_api_token(&token.into(), name, "", None, "the test", now).await.unwrap().unwrap();
        }
        fill(&store, now).await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Serving::start(&store, listener, pace).await;
        Self { address, store, options, state, serving }
    }

    /// Has the server end, and another one serve at its address.
    pub async fn serve_anew(&mut self) {
        self.serving.stop.cancel();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.serving = Serving::start(&self.store, listener, Pace::default()).await;
    }

    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command with this machine's database.
    pub async fn here(&self, arguments: &[&str]) -> Said {
        said(self.with_database(arguments)).await
    }

    /// The same before it runs.
    pub fn with_database(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(arguments);
        command.env("DATABASE_URL", postgres::url(&self.options));
        command.arg("--state-dir").arg(self.state.path());
        command
    }

    /// Runs a command that asks a server, as somebody from another machine: with no database, no state, no home.
    pub async fn there(&self, token: &str, arguments: &[&str]) -> Said {
        said(self.asking(token, arguments)).await
    }

    /// The same before it runs.
    pub fn asking(&self, token: &str, arguments: &[&str]) -> Command {
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
        command.args(arguments).current_dir(self.state.path()).stdin(Stdio::null());
        command
    }
}

impl Serving {
    async fn start(store: &Arc<Store>, listener: TcpListener, pace: Pace) -> Self {
        let address = listener.local_addr().unwrap();
        let clock: agentpod::dashboard::auth::Clock = Arc::new(OffsetDateTime::now_utc);
        let auth = Auth::open(store.clone(), AccessSettings::default(), address, clock.clone()).await.unwrap();
        let (overview, view) = watch::channel(DaemonStatus::default());
        let stop = CancellationToken::new();
        let live = Live::start(store.clone(), pace, stop.clone());
        let api = Arc::new(Api {
            store: store.clone(),
            view: view.clone(),
            logs: watch::channel(None).1,
            edits: None,
            settings: SettingsView::default(),
            clock,
        });
        let dashboard = Dashboard { auth: auth.clone(), view, hooks: None, api, live: live.clone() };
        serve_on(listener, auth, routes(&dashboard), stop.clone());
        live.hears().await;
        Self { stop, _overview: overview }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Runs a command while the server goes on answering.
pub async fn said(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
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
    store.sync(&desired, now).await.unwrap();
    store.keep_wishes(&desired, now).await.unwrap();
    for (id, phase, message) in [
        ("alice/assistant", Phase::Running, "it is ready"),
        ("alice/idle", Phase::Stopped, "it is stopped"),
        ("bob/helper", Phase::Held, "its secret cannot be read"),
    ] {
        let (ready, container) = (phase == Phase::Running, Some(format!("{}-1", id.replace('/', "_"))));
        let status = Status { phase, ready, reason: "Why".into(), message: message.into(), container };
        store.write_status(&pod(id), &status, now).await.unwrap();
        let event = Event { cause: Some("it was declared".into()), ..Event::of_pod(&pod(id), "phase", message) };
        store.record(&event, now).await.unwrap();
    }
    let measured = Measured { pod: pod("alice/assistant"), memory_mb: 12, cpu_percent: 3.3, storage_mb: Some(5) };
    store.keep_usage(&[measured], now).await.unwrap();
}
