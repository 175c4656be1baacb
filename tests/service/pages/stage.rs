//! A dashboard that listens, over a real PostgreSQL with two tenants' pods, and people with tokens who ask it for pages.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use agentpod::{
    config::AccessSettings,
    core::{
        access::{Person, Role},
        problem::{Position, Problem},
        report::status::{Phase, Status},
    },
    dashboard::{
        Dashboard,
        api::{Api, SettingsView},
        auth::{Auth, Clock},
        live::{Live, Pace},
        routes, serve_on,
    },
    reconcile::{DaemonStatus, Edits},
    source::{Directory, Source},
    store::{Event, Fetched, InstanceKey, Store},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::testkit::{
    declared::{Declared, pod},
    postgres,
    site::{shipped_adapters, shipped_folders, site},
};

/// Everybody's operator and viewer, and the operator of the tenant alice, by their tokens.
pub const OLGA: &str = "agp_olga_0123456789abcdef";
pub const VICTOR: &str = "agp_victor_0123456789abcdef";
pub const ALAN: &str = "agp_alan_0123456789abcdef";

/// What stands where people can write, to see whether it becomes markup.
pub const MARKUP: &str = "<img src=x onerror=alert(1)>\"'&</script>";

pub struct Stage {
    pub store: Arc<Store>,
    pub address: SocketAddr,
    stop: CancellationToken,
    _overview: watch::Sender<DaemonStatus>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stage {
    /// Alice's and Bob's pods, and a rejected revision after the accepted one.
    pub async fn new() -> Self {
        let declared = Declared::tenants()
            .pod("alice/assistant", "subdomain: alice")
            .pod("alice/idle", "subdomain: idle, state: stopped")
            .pod("bob/helper", "subdomain: bob");
        Self::with(&declared).await
    }

    pub async fn with(declared: &Declared) -> Self {
        Self::made(declared, true, None).await
    }

    /// The same as [`Stage::new`] without accounts: whoever is on this machine is in.
    pub async fn open() -> Self {
        Self::open_with(&Declared::tenants().pod("alice/assistant", "subdomain: alice")).await
    }

    pub async fn open_with(declared: &Declared) -> Self {
        Self::made(declared, false, None).await
    }

    /// One on whose form people commit to a folder.
    pub async fn committing_to(folder: &Path) -> Self {
        Self::made(&Declared::tenants(), true, Some(Source::Directory(Directory::new(folder)))).await
    }

    async fn made(declared: &Declared, with_accounts: bool, source: Option<Source>) -> Self {
        let key = InstanceKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap();
        let options = postgres::database().await;
        let store = Arc::new(Store::open(options, &key, &"test".parse().unwrap()).await.unwrap());
        let now = OffsetDateTime::now_utc();
        for (name, role, tenant, token) in [
            ("olga", Role::Operator, None, OLGA),
            ("victor", Role::Viewer, None, VICTOR),
            ("alan", Role::Operator, Some("alice"), ALAN),
        ]
        .into_iter()
        .filter(|_| with_accounts)
        {
            let tenant = tenant.map(|tenant| tenant.parse().unwrap());
            store.add_account(&Person { name: name.into(), role, tenant }, None, "the test", now).await.unwrap();
            store.add_api_token(&token.into(), name, "", None, "the test", now).await.unwrap().unwrap();
        }
        let desired = declared.build();
        store.sync(&desired, now).await.unwrap();
        store.keep_wishes(&desired, now).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock: Clock = Arc::new(OffsetDateTime::now_utc);
        let auth = Auth::open(store.clone(), AccessSettings::default(), address, clock.clone()).await.unwrap();
        let (overview, view) = watch::channel(DaemonStatus::default());
        let stop = CancellationToken::new();
        let edits = source.map(|source| Arc::new(Edits::new(source, shipped_folders(), site(), store.clone())));
        let settings = SettingsView { site: Some(site()), domain: "example.com".into(), ..SettingsView::default() };
        let api =
            Api { store: store.clone(), view: view.clone(), logs: watch::channel(None).1, edits, settings, clock };
        let live = Live::start(store.clone(), Pace::default(), stop.clone());
        let dashboard = Dashboard { auth: auth.clone(), view, hooks: None, api: Arc::new(api), live };
        serve_on(listener, auth, routes(&dashboard), stop.clone());
        Self { store, address, stop, _overview: overview }
    }

    /// Keeps a revision with these manifests and the shipped adapters, and a rejected one after it.
    pub async fn judged(&self, text: &str) {
        let files = BTreeMap::from([("all.yaml".to_owned(), text.as_bytes().to_vec())]);
        let now = OffsetDateTime::now_utc();
        let adapters = shipped_adapters().await;
        let fetched =
            Fetched { hash: "aaaa1111", origin: "/srv/manifests", commit: None, files: &files, adapters: &adapters };
        self.store.accept(&fetched, now).await.unwrap();
        let problem = Problem::of_file("bob.yaml", format!("unknown field {MARKUP}"))
            .at(Position { line: 1, column: 3 }, "  adaptr: <b>echo</b>")
            .hint("did you mean \"adapter\"?");
        self.store.reject(&Fetched { hash: "bbbb2222", ..fetched }, &[problem], now).await.unwrap();
    }

    /// Has a pod be in a phase.
    pub async fn is(&self, id: &str, phase: Phase, reason: &str, message: &str) {
        let status = Status {
            phase,
            ready: phase == Phase::Running,
            reason: reason.into(),
            message: message.into(),
            container: Some(format!("{}-1", id.replace('/', "_"))),
        };
        self.store.write_status(&pod(id), &status, OffsetDateTime::now_utc()).await.unwrap();
    }

    /// Has something be told of a pod.
    pub async fn tells(&self, id: &str, message: &str) {
        self.store
            .record(&Event::of_pod(&pod(id), "container_died", message), OffsetDateTime::now_utc())
            .await
            .unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        Answer { status: head.status.as_u16(), headers: head.headers, bytes: body.collect().await.unwrap().to_bytes() }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, "").await
    }

    /// A page that is there.
    pub async fn page(&self, path: &str, token: &str) -> String {
        let answer = self.get(path, token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Manifests that declare nothing but tenants.
pub const TENANTS: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n---\n\
                           {apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: bob}}\n---\n\
                           {apiVersion: agentpod.dev/v1, kind: Pod, metadata: {name: helper, tenant: bob}, spec: {adapter: echo, subdomain: bob}}\n";
