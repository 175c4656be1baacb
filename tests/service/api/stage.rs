//! An API with two tenants' pods, three people with tokens, and ways to ask it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

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
    store::{InstanceKey, Store},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

use crate::testkit::{
    declared::{Declared, pod},
    postgres,
};

/// Everybody's operator, everybody's viewer, and the operator of the tenant alice, by their tokens.
pub const OLGA: &str = "agp_olga_0123456789abcdef";
pub const VICTOR: &str = "agp_victor_0123456789abcdef";
pub const ALAN: &str = "agp_alan_0123456789abcdef";

pub struct Stage {
    pub address: std::net::SocketAddr,
    pub store: Arc<Store>,
    pub stop: CancellationToken,
    pub live: Arc<Live>,
    _overview: watch::Sender<DaemonStatus>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stage {
    pub async fn new() -> Self {
        Self::at_pace(Pace::default()).await
    }

    pub async fn at_pace(pace: Pace) -> Self {
        let options = postgres::database().await;
        let key = InstanceKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap();
        let store = Arc::new(Store::open(options, &key, &"test".parse().unwrap()).await.unwrap());
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
        let declared = Declared::tenants()
            .pod("alice/assistant", "subdomain: alice")
            .pod("alice/idle", "subdomain: idle, state: stopped")
            .pod("bob/helper", "subdomain: bob");
        let desired = declared.build();
        store.sync(&desired, now).await.unwrap();
        store.keep_wishes(&desired, now).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
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
        Self { address, store, stop, live, _overview: overview }
    }

    /// Has a pod be in a phase.
    pub async fn is(&self, id: &str, phase: Phase, message: &str) {
        let status = Status {
            phase,
            ready: phase == Phase::Running,
            reason: "Why".into(),
            message: message.into(),
            container: Some(format!("{}-1", id.replace('/', "_"))),
        };
        self.store.write_status(&pod(id), &status, OffsetDateTime::now_utc()).await.unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}/api/v1{path}", self.address));
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, &[], "").await
    }

    pub async fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        self.ask("POST", path, token, &[("content-type", "application/json")], body).await
    }

    /// Begins to look on.
    pub async fn watch(&self, query: &str, headers: &[(&'static str, String)]) -> Viewer {
        let mut request = format!("ws://{}/api/v1/watch{query}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Viewer(socket)
    }

    pub async fn watch_as(&self, token: &str, query: &str) -> Viewer {
        self.watch(query, &[("authorization", format!("Bearer {token}"))]).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Somebody who looks on.
pub struct Viewer(pub WebSocketStream<TcpStream>);

impl Viewer {
    /// The next message, or the code it was closed with.
    pub async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let message =
                tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(0, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// The next message of a type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// What it was closed with, whatever came before.
    pub async fn end(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }
}
