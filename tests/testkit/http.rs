//! Asking over HTTP, and what is answered.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Bytes,
    /// The same as text.
    pub body: String,
}

impl Answer {
    /// A header; nothing if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie to send back, as `name=value`.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks; `None` while nobody answers. `Host` is the address, unless it is among the headers.
pub async fn ask(
    method: &str,
    address: impl Into<SocketAddr>,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let mut request = Request::builder().method(method).uri(format!("http://{}{path}", address.into()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.ok()?;
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.ok()?.to_bytes();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Some(Answer { status: head.status.as_u16(), headers: head.headers, bytes, body })
}

/// GET on this machine.
pub async fn get(port: u16, path: &str) -> Option<Answer> {
    ask("GET", ([127, 0, 0, 1], port), path, &[], "").await
}
