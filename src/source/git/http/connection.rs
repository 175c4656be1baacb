//! One kept connection to the server, directly or through the proxy that the environment names. Credentials are added here,
//! and a connection leads to one scheme, host and port.

use std::{
    error::Error,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderValue},
};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::{client::proxy::matcher::Intercept, rt::TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsConnector;

use super::proxy;
use crate::source::git::{
    access::FetchCredentials,
    address::Transport,
    fetch_error::{DENIED, FetchError, UNREACHABLE},
    settings::GitSettings,
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the server may be silent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// What git's own programs call themselves; some servers answer only those in git's protocol.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("git/2.0 (agentpod ", env!("CARGO_PKG_VERSION"), ")"));

/// A connection, made when it is first needed and again when the server has closed it.
pub(super) struct Connection {
    /// It drives the connection while somebody waits for an answer.
    runtime: Runtime,
    is_tls: bool,
    host: String,
    port: u16,
    proxy: Option<Intercept>,
    authorization: Option<HeaderValue>,
    deadline: Instant,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) fn new(
        settings: &GitSettings,
        access: &FetchCredentials,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let address = &settings.address;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            FetchError::new(UNREACHABLE, format!("cannot fetch: {error}"), "check the machine's limits")
        })?;
        let authorization = access.header.as_ref().map(|header| HeaderValue::from_str(header)).transpose();
        let mut authorization = authorization.map_err(|_| {
            FetchError::new(DENIED, "the token or password contains invalid characters", "write it anew")
        })?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let is_tls = address.transport == Transport::Https;
        let scheme = if is_tls { "https" } else { "http" };
        let whole = format!("{scheme}://{}:{}/", address.host, address.port);
        let proxy = whole.parse::<Uri>().ok().and_then(|uri| proxy::of(&uri));
        if let Some(proxy) = proxy.as_ref().filter(|proxy| proxy.uri().scheme_str() != Some("http")) {
            let what = format!("cannot fetch: the proxy {} is not supported", proxy.uri());
            return Err(FetchError::new(UNREACHABLE, what, format!("set {scheme}_proxy to an http:// address")));
        }
        Ok(Self {
            runtime,
            is_tls,
            host: address.host.clone(),
            port: address.port,
            proxy,
            authorization,
            deadline,
            timeout: settings.timeout,
            sender: None,
        })
    }

    /// Sends a request to the server, and waits for its answer to begin.
    pub(super) fn send(&mut self, mut request: Request<Bytes>) -> Result<Response<Incoming>, FetchError> {
        let is_direct = self.proxy.is_none() || self.is_tls;
        let default_port = if self.is_tls { 443 } else { 80 };
        let authority =
            if self.port == default_port { self.host.clone() } else { format!("{}:{}", self.host, self.port) };
        if !is_direct && let Ok(uri) = format!("http://{authority}{}", request.uri()).parse() {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::HOST, HeaderValue::from_str(&authority).map_err(|error| self.failed(&error))?);
        if let Some(value) = &self.authorization {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        if let Some(value) = self.proxy.as_ref().filter(|_| !is_direct).and_then(Intercept::basic_auth) {
            headers.insert(header::PROXY_AUTHORIZATION, value.clone());
        }
        let kept = self.sender.take();
        let wait = self.wait(SILENCE_TIMEOUT);
        let answer = self.runtime.block_on(async {
            let mut usable = None;
            if let Some(mut sender) = kept
                && sender.ready().await.is_ok()
            {
                usable = Some(sender);
            }
            let mut sender = match usable {
                Some(sender) => sender,
                None => tokio::time::timeout(wait.min(CONNECT_TIMEOUT), self.connect())
                    .await
                    .map_err(|_| self.silent())??,
            };
            let answer = tokio::time::timeout(wait, sender.send_request(request.map(Full::new))).await;
            let answer = answer.map_err(|_| self.silent())?.map_err(|error| self.failed(&Chain(&error)))?;
            Ok((sender, answer))
        });
        let (sender, answer) = answer?;
        self.sender = Some(sender);
        Ok(answer)
    }

    /// The next bytes of an answer.
    pub(super) fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, FetchError> {
        loop {
            let wait = self.wait(SILENCE_TIMEOUT);
            let frame = self.runtime.block_on(async { tokio::time::timeout(wait, body.frame()).await });
            match frame.map_err(|_| self.silent())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.failed(&Chain(&error))),
                // An empty part is not the end.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
            }
        }
    }

    /// How long to wait, at most until the deadline.
    fn wait(&self, limit: Duration) -> Duration {
        limit.min(self.deadline.saturating_duration_since(crate::clock::instant()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, FetchError> {
        let Some(proxy) = &self.proxy else {
            let tcp = self.dial(&self.host, self.port).await?;
            return if self.is_tls { self.encrypt(tcp).await } else { self.handshake(tcp).await };
        };
        let (host, port) = (proxy.uri().host().unwrap_or_default(), proxy.uri().port_u16().unwrap_or(80));
        let tcp = self.dial(host, port).await?;
        if !self.is_tls {
            return self.handshake(tcp).await;
        }
        let mut sender = self.handshake(tcp).await?;
        let authority = format!("{}:{}", self.host, self.port);
        let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(header::HOST, &authority);
        if let Some(value) = proxy.basic_auth() {
            request = request.header(header::PROXY_AUTHORIZATION, value);
        }
        let request = request.body(Full::default()).map_err(|error| self.failed(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| self.failed(&Chain(&error)))?;
        if !answer.status().is_success() {
            return Err(self.failed(&format!("the proxy {host} refuses to connect ({})", answer.status().as_u16())));
        }
        let tunnel = hyper::upgrade::on(answer).await.map_err(|error| self.failed(&Chain(&error)))?;
        self.encrypt(TokioIo::new(tunnel)).await
    }

    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        TcpStream::connect((bare, port)).await.map_err(|error| self.failed(&format!("{host}:{port}: {error}")))
    }

    async fn encrypt<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
    ) -> Result<SendRequest<Full<Bytes>>, FetchError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failed(&error))?
            .with_native_roots()
            .map_err(|error| {
                let what = format!("cannot fetch: this machine has no root certificates ({error})");
                FetchError::new(UNREACHABLE, what, "install ca-certificates, or set SSL_CERT_FILE")
            })?
            .with_no_client_auth();
        let bare = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| self.failed(&error))?;
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(stream) => self.handshake(stream).await,
            Err(error) => Err(self.tls_error(&error)),
        }
    }

    fn tls_error(&self, error: &io::Error) -> FetchError {
        let is_certificate = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
        if !is_certificate {
            return self.failed(&format!("the encrypted connection failed: {error}"));
        }
        let hint = if error.to_string().contains("CaUsedAsEndEntity") {
            "it is its own authority (CA:TRUE); create it with basicConstraints=CA:FALSE, or have an authority sign it"
        } else {
            "if it comes from your own authority, set SSL_CERT_FILE to that authority's file"
        };
        FetchError::new(UNREACHABLE, format!("the certificate of {} is not trusted: {error}", self.host), hint)
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
    ) -> Result<SendRequest<Full<Bytes>>, FetchError> {
        let made = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = made.map_err(|error| self.failed(&Chain(&error)))?;
        // Its error is also the answer's.
        tokio::spawn(async move { driver.with_upgrades().await.ok() });
        Ok(sender)
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> FetchError {
        let hint = format!("it is tried again automatically; check that {} can be reached from here", self.host);
        FetchError::new(UNREACHABLE, format!("cannot fetch: {why}"), hint)
    }

    fn silent(&self) -> FetchError {
        if self.deadline <= crate::clock::instant() {
            let what = format!("the remote did not answer within {} s", self.timeout.as_secs());
            return FetchError::new(UNREACHABLE, what, "use a smaller repository, or a faster remote");
        }
        self.failed(&format!("{} did not answer within {} s", self.host, SILENCE_TIMEOUT.as_secs()))
    }
}

/// An error with its causes.
struct Chain<'a>(&'a dyn Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
