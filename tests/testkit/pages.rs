//! A dashboard that listens, over a real PostgreSQL with two tenants' pods, and people with tokens who ask it for pages.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use agentpod::{
    core::{
        problem::{Position, Problem},
        report::{phase::Phase, status::Status},
    },
    dashboard::api::SettingsView,
    reconcile::Edits,
    source::{Directory, Source},
    store::{Event, Fetched, Store},
};
use time::OffsetDateTime;

use super::{
    dashboard::{Serve, Server, add_people, declare, two_tenants},
    declared::{Declared, pod},
    http::{self, Answer},
    site::{shipped_adapters, shipped_folders, site},
    store::fresh,
};
use agentpod::core::event::EventKind;

/// What stands where people can write, to see whether it becomes markup.
pub const MARKUP: &str = "<img src=x onerror=alert(1)>\"'&</script>";

pub struct Stage {
    pub store: Arc<Store>,
    pub server: Server,
}

impl Stage {
    /// Alice's and Bob's pods, and a rejected revision after the accepted one.
    pub async fn new() -> Self {
        Self::with(&two_tenants()).await
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
        let store = Arc::new(fresh().await.0);
        if with_accounts {
            add_people(&store).await;
        }
        declare(&store, &declared.build()).await;
        let edits = source.map(|source| Arc::new(Edits::new(source, shipped_folders(), site(), store.clone())));
        let settings = SettingsView { site: Some(site()), domain: "example.com".into(), ..SettingsView::default() };
        let server = Server::start(&store, Serve { edits, settings, ..Serve::default() }).await;
        Self { store, server }
    }

    /// Keeps a revision with these manifests and the shipped adapters, and a rejected one after it.
    pub async fn checked(&self, text: &str) {
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
            reason: reason.parse().expect("a reason that there is"),
            message: message.into(),
            container: Some(format!("{}-1", id.replace('/', "_"))),
            container_id: None,
            node: None,
        };
        self.store.write_status(&pod(id), &status, OffsetDateTime::now_utc()).await.unwrap();
    }

    /// Has something be told of a pod.
    pub async fn tells(&self, id: &str, message: &str) {
        self.store
            .record(&Event::of_pod(&pod(id), EventKind::Exited, message), OffsetDateTime::now_utc())
            .await
            .unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", bearer.as_str())];
        let headers = if token.is_empty() { &headers[..1] } else { &headers[..] };
        http::ask(method, self.server.address, path, headers, body.to_owned()).await.unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, "").await
    }

    /// A page that is there.
    pub async fn page(&self, path: &str, token: &str) -> String {
        let answer = self.get(path, token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }
}

/// Manifests with both tenants and a pod of bob's.
pub const TENANTS: &str = "{apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: alice}}\n---\n\
                           {apiVersion: agentpod.dev/v1, kind: Tenant, metadata: {name: bob}}\n---\n\
                           {apiVersion: agentpod.dev/v1, kind: Pod, metadata: {name: helper, tenant: bob}, spec: {adapter: echo, subdomain: bob}}\n";
