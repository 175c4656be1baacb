//! Asks an AgentPod over its API. Follows no redirect and remembers no cookie: the token goes to the named address and
//! nowhere else. What is refused becomes a sentence that says what to do.

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

/// Below the server's address.
const ROOT: &str = "/api/v1";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take; one that goes on only has to begin in this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer.
const LONGEST: usize = 64 << 20;

/// A socket that was opened over HTTP.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Asks one AgentPod.
pub struct ApiClient {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    origin: Origin,
    /// What says who asks.
    authorization: Option<HeaderValue>,
}

impl ApiClient {
    /// Gets ready to ask. Nothing is sent yet.
    pub fn new(server: ServerAddress) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new();
        let builder = match server.origin.scheme {
            Scheme::Https => builder
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                .context("this machine knows no authority for certificates; install ca-certificates, or name a file by SSL_CERT_FILE")?
                .https_only(),
            Scheme::Http => builder.with_tls_config(no_certificate_is_good()?).https_or_http(),
        };
        let authorization = match &server.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                    .map_err(|_| anyhow!("the token has characters in it that no token has"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = legacy::Client::builder(TokioExecutor::new()).build(builder.enable_http1().wrap_connector(tcp));
        Ok(Self { http, origin: server.origin, authorization })
    }

    /// What is at an address.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let request = self.request(Method::GET, path, query);
        self.read(request.body(Full::default())?).await
    }

    /// What is at an address, if there is anything.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        refusal::or_missing(self.get(path, &[]).await)
    }

    /// A part of a list.
    pub async fn page<T: DeserializeOwned>(&self, path: &str, limit: u32, after: Option<String>) -> Result<Page<T>> {
        let limit = limit.to_string();
        let after = after.as_deref().map(|after| ("after", after));
        self.get(path, &[("limit", limit.as_str())].into_iter().chain(after).collect::<Vec<_>>()).await
    }

    /// Sends something.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let request = self.request(Method::POST, path, &[]).header(header::CONTENT_TYPE, "application/json");
        self.read(request.body(Full::from(serde_json::to_vec(body)?))?).await
    }

    /// Text that is read as it comes.
    pub async fn text(&self, path: &str, query: &[(&str, &str)]) -> Result<impl AsyncBufRead + Unpin + use<>> {
        let answer = self.send(self.request(Method::GET, path, query).body(Full::default())?).await?;
        Ok(StreamReader::new(Box::pin(answer.into_body().into_data_stream().map_err(std::io::Error::other))))
    }

    /// A WebSocket.
    pub async fn socket(&self, path: &str) -> Result<WebSocketStream<Box<dyn ByteStream>>> {
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
            bail!("{} does not open a WebSocket; a proxy in between must let them through", self.origin);
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
        let body = self.whole(answer.into_body()).await?;
        serde_json::from_slice(&body).map_err(|error| {
            anyhow!(
                "{} answers what agentpod {} does not understand ({error}); is there an AgentPod of this version?",
                self.origin,
                env!("CARGO_PKG_VERSION")
            )
        })
    }

    /// Sends a request and waits for the answer to begin; refusals are errors.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let answer = tokio::time::timeout(PATIENCE, self.http.request(request)).await;
        let answer = answer
            .map_err(|_| anyhow!("{} did not answer within {} s", self.origin, PATIENCE.as_secs()))?
            .map_err(|error| refusal::unreachable(&self.origin, &error))?;
        if answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self.whole(body).await.unwrap_or_default();
        Err(BackendError::of(&self.origin, self.authorization.is_some(), &head, &body).into())
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes> {
        let read = tokio::time::timeout(PATIENCE, Limited::new(body, LONGEST).collect()).await;
        let read = read.map_err(|_| anyhow!("{} did not finish its answer in time", self.origin))?;
        Ok(read.map_err(|error| anyhow!("{} broke off its answer: {error}", self.origin))?.to_bytes())
    }
}

/// What TLS is set up with where none is spoken: the system's authorities need not be there for that.
fn no_certificate_is_good() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
