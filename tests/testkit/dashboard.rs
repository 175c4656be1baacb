//! The real server of dashboard and API over a store, and people who may ask it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use agentpod::{
    config::AccessSettings,
    core::{
        access::{Person, Role},
        declare::desired::Desired,
    },
    dashboard::{
        Dashboard, Routes,
        api::{Api, SettingsView},
        auth::{Auth, Clock},
        live::{Heartbeat, Live},
        routes, serve_on,
    },
    reconcile::{DaemonStatus, Edits},
    store::Store,
};
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use warp::Filter;

use super::declared::Declared;

/// Everybody's operator, everybody's viewer, and the operator of the tenant alice, by their tokens.
pub const OLGA: &str = "agp_olga_0123456789abcdef";
pub const VICTOR: &str = "agp_victor_0123456789abcdef";
pub const ALAN: &str = "agp_alan_0123456789abcdef";

/// Adds these three people.
pub async fn add_people(store: &Store) {
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
}

/// Two tenants with three pods, one of them stopped.
pub fn two_tenants() -> Declared {
    Declared::tenants()
        .pod("alice/assistant", "subdomain: alice")
        .pod("alice/idle", "subdomain: idle, state: stopped")
        .pod("bob/helper", "subdomain: bob")
}

/// Writes down what a reconciler would of these declarations.
pub async fn declare(store: &Store, desired: &Desired) {
    let now = OffsetDateTime::now_utc();
    store.sync(desired, now).await.unwrap();
    store.set_desired(desired, now).await.unwrap();
}

/// How a server serves.
pub struct Serve {
    pub access: AccessSettings,
    pub heartbeat: Heartbeat,
    pub clock: Clock,
    pub edits: Option<Arc<Edits>>,
    pub settings: SettingsView,
    /// Routes before its own.
    pub routes: Option<Routes>,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            access: AccessSettings::default(),
            heartbeat: Heartbeat::default(),
            clock: Arc::new(OffsetDateTime::now_utc),
            edits: None,
            settings: SettingsView::default(),
            routes: None,
        }
    }
}

/// A server, until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub auth: Arc<Auth>,
    pub live: Arc<Live>,
    pub stop: CancellationToken,
    _overview: watch::Sender<DaemonStatus>,
}

impl Server {
    /// Serves at an address of its own.
    pub async fn start(store: &Arc<Store>, serve: Serve) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self::start_on(listener, store, serve).await
    }

    /// Serves there.
    pub async fn start_on(listener: TcpListener, store: &Arc<Store>, serve: Serve) -> Self {
        let Serve { access, heartbeat, clock, edits, settings, routes: before } = serve;
        let address = listener.local_addr().unwrap();
        let auth = Auth::open(store.clone(), access, address, clock.clone()).await.unwrap();
        let (overview, view) = watch::channel(DaemonStatus::default());
        let stop = CancellationToken::new();
        let live = Live::start(store.clone(), heartbeat, stop.clone());
        let logs = watch::channel(None).1;
        let api = Arc::new(Api { store: store.clone(), view: view.clone(), logs, edits, settings, clock });
        let dashboard = Dashboard { auth: auth.clone(), view, hooks: None, api, live: live.clone() };
        let all = match before {
            Some(before) => before.or(routes(&dashboard)).unify().boxed(),
            None => routes(&dashboard),
        };
        serve_on(listener, auth.clone(), all, stop.clone());
        live.is_listening().await;
        Self { address, auth, live, stop, _overview: overview }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
