//! The client of another AgentPod's API. It follows no redirect and keeps no cookie: the token goes to the named address
//! and nowhere else. A refusal becomes an error that says what to do.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    http,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::Role,
    },
};
use tokio_util::io::StreamReader;

use super::refusal::{self, BackendError};
use crate::{
    config::ServerAddress,
    core::{access::origin::Origin, site::Scheme},
    store::view::Page,
};

/// The path of the API below the server's address.
const ROOT: &str = "/api/v1";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take; a streamed one only has to begin in this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// An upgraded HTTP connection.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A client of one AgentPod.
pub(crate) struct ApiClient {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    origin: Origin,
    /// The bearer token.
    authorization: Option<HeaderValue>,
}

impl ApiClient {
    /// Creates a client. This sends nothing yet.
    pub(crate) fn new(server: ServerAddress) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = HttpsConnectorBuilder::new();
        let builder = match server.origin.scheme {
            Scheme::Https => builder
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                .context("this machine has no root certificates; install ca-certificates, or set SSL_CERT_FILE")?
                .https_only(),
            Scheme::Http => builder.with_tls_config(tls_without_roots()?).https_or_http(),
        };
        let authorization = match &server.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                    .map_err(|_| anyhow!("the token contains invalid characters"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = legacy::Client::builder(TokioExecutor::new()).build(builder.enable_http1().wrap_connector(tcp));
        Ok(Self { http, origin: server.origin, authorization })
    }

    /// Reads what is at a path.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let request = self.request(Method::GET, path, query);
        self.read(request.body(Full::default())?).await
    }

    /// Reads what is at a path, if it exists.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        refusal::or_missing(self.get(path, &[]).await)
    }

    /// Reads one page of a list.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: u32,
        after: Option<String>,
    ) -> Result<Page<T>> {
        let limit = limit.to_string();
        let after = after.as_deref().map(|after| ("after", after));
        self.get(path, &[("limit", limit.as_str())].into_iter().chain(after).collect::<Vec<_>>()).await
    }

    /// Sends a body to a path.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let request = self.request(Method::POST, path, &[]).header(header::CONTENT_TYPE, "application/json");
        self.read(request.body(Full::from(serde_json::to_vec(body)?))?).await
    }

    /// Streams the text at a path.
    pub(crate) async fn text(&self, path: &str, query: &[(&str, &str)]) -> Result<impl AsyncBufRead + Unpin + use<>> {
        let answer = self.send(self.request(Method::GET, path, query).body(Full::default())?).await?;
        Ok(StreamReader::new(Box::pin(answer.into_body().into_data_stream().map_err(std::io::Error::other))))
    }

    /// Opens a WebSocket.
    pub(crate) async fn socket(&self, path: &str) -> Result<WebSocketStream<Box<dyn ByteStream>>> {
        let key = generate_key();
        let request = self
            .request(Method::GET, path, &[])
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        let answer = self.send(request.body(Full::default())?).await?;
        let accepted = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS
            || accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            bail!("{} did not open a WebSocket; if there is a proxy in between, let it pass WebSockets", self.origin);
        }
        let wire = hyper::upgrade::on(answer).await.with_context(|| format!("{} closed the WebSocket", self.origin))?;
        let wire: Box<dyn ByteStream> = Box::new(TokioIo::new(wire));
        Ok(WebSocketStream::from_raw_socket(wire, Role::Client, None).await)
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> http::request::Builder {
        let mut uri = format!("{}{ROOT}{path}", self.origin);
        if !query.is_empty() {
            uri += "?";
            uri += &form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        }
        let request = Request::builder().method(method).uri(uri);
        let agent = concat!("agentpod/", env!("CARGO_PKG_VERSION"));
        let request = request.header(header::USER_AGENT, agent);
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T> {
        let answer = self.send(request).await?;
        let body = self.body(answer.into_body()).await?;
        serde_json::from_slice(&body).map_err(|error| {
            anyhow!(
                "{} sent an answer that agentpod {} does not understand ({error}); use the same version on both sides",
                self.origin,
                env!("CARGO_PKG_VERSION")
            )
        })
    }

    /// Sends a request and waits for the answer to begin; refusals are errors.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.http.request(request)).await;
        let answer = answer
            .map_err(|_| anyhow!("{} did not answer within {} s", self.origin, ANSWER_TIMEOUT.as_secs()))?
            .map_err(|error| refusal::unreachable(&self.origin, &error))?;
        if answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self.body(body).await.unwrap_or_default();
        Err(BackendError::new(&self.origin, self.authorization.is_some(), &head, &body).into())
    }

    async fn body(&self, body: Incoming) -> Result<Bytes> {
        let read = tokio::time::timeout(ANSWER_TIMEOUT, Limited::new(body, MAX_ANSWER_BYTES).collect()).await;
        let read = read.map_err(|_| anyhow!("{} did not finish its answer in time", self.origin))?;
        Ok(read.map_err(|error| anyhow!("the answer of {} broke off: {error}", self.origin))?.to_bytes())
    }
}

/// The TLS settings for plain HTTP, where the system's root certificates are not needed.
fn tls_without_roots() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
