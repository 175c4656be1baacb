//! An API with two tenants' pods, three people with tokens, and ways to ask it.

use std::{sync::Arc, time::Duration};

use agentpod::{
    core::report::{phase::Phase, status::Status},
    dashboard::live::Heartbeat,
    store::Store,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::testkit::{
    dashboard::{Serve, Server, add_people, declare, two_tenants},
    declared::pod,
    http::{self, Answer},
    store::fresh,
};
use agentpod::core::report::reason::Reason;

pub struct Stage {
    pub store: Arc<Store>,
    pub server: Server,
}

impl Stage {
    pub async fn new() -> Self {
        Self::at_pace(Heartbeat::default()).await
    }

    pub async fn at_pace(heartbeat: Heartbeat) -> Self {
        let store = Arc::new(fresh().await.0);
        add_people(&store).await;
        declare(&store, &two_tenants().build()).await;
        let server = Server::start(&store, Serve { heartbeat, ..Serve::default() }).await;
        Self { store, server }
    }

    /// Has a pod be in a phase.
    pub async fn is(&self, id: &str, phase: Phase, message: &str) {
        let status = Status {
            phase,
            ready: phase == Phase::Running,
            reason: Reason::StepFailed,
            message: message.into(),
            container: Some(format!("{}-1", id.replace('/', "_"))),
            container_id: None,
            node: None,
        };
        self.store.write_status(&pod(id), &status, OffsetDateTime::now_utc()).await.unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        let path = format!("/api/v1{path}");
        http::ask(method, self.server.address, &path, &headers, body.to_owned()).await.unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, &[], "").await
    }

    pub async fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        self.ask("POST", path, token, &[("content-type", "application/json")], body).await
    }

    /// Begins to look on.
    pub async fn watch(&self, query: &str, headers: &[(&'static str, String)]) -> Viewer {
        let mut request = format!("ws://{}/api/v1/watch{query}", self.server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.server.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Viewer(socket)
    }

    pub async fn watch_as(&self, token: &str, query: &str) -> Viewer {
        self.watch(query, &[("authorization", format!("Bearer {token}"))]).await
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
