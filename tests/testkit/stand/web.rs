//! HTTP and WebSocket the way a browser would: connected to this machine, asking for a tenant's host name.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, client::IntoClientRequest, http::HeaderValue},
};

use super::Stand;
use crate::testkit::http::{self, Answer};

/// The longest a request may take.
const LIMIT: Duration = Duration::from_secs(20);

/// An open WebSocket.
pub type Socket = WebSocketStream<TcpStream>;

impl Stand {
    /// GET through the proxy, at a subdomain; `None` while nobody answers.
    pub async fn get(&self, subdomain: &str, path: &str) -> Option<Answer> {
        self.ask("GET", subdomain, path, "").await
    }

    /// GET through the proxy, waiting until it leads to the agent: the proxy hears of a new container a moment later.
    pub async fn routed(&self, subdomain: &str, path: &str) -> Answer {
        let led = async || self.get(subdomain, path).await.filter(|answer| answer.status == 200);
        self.until(&format!("{path} of {subdomain} is routed"), super::PATIENCE, led).await
    }

    /// Any request through the proxy.
    pub async fn ask(&self, method: &str, subdomain: &str, path: &str, body: &str) -> Option<Answer> {
        request(method, self.port(), &self.host(subdomain), path, body).await
    }

    /// Opens a WebSocket through the proxy, as a page of `origin` would.
    pub async fn socket(&self, subdomain: &str, path: &str, origin: &str) -> Result<Socket, Error> {
        socket(self.port(), &self.host(subdomain), path, origin).await
    }

    /// The `Host` header a browser sends.
    pub fn host(&self, subdomain: &str) -> String {
        format!("{subdomain}.localhost:{}", self.port())
    }
}

/// GET from this machine's own port; `None` while nobody answers.
pub async fn get(port: u16, host: &str, path: &str) -> Option<Answer> {
    request("GET", port, host, path, "").await
}

async fn request(method: &str, port: u16, host: &str, path: &str, body: &str) -> Option<Answer> {
    let headers = [("host", host)];
    let asked = http::ask(method, ([127, 0, 0, 1], port), path, &headers, body.to_owned());
    tokio::time::timeout(LIMIT, asked).await.ok().flatten()
}

/// Opens a WebSocket at this machine's own port.
pub async fn socket(port: u16, host: &str, path: &str, origin: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{host}{path}").into_client_request()?;
    request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let opened = tokio::time::timeout(LIMIT, client_async(request, stream)).await;
    opened.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))?.map(|(socket, _)| socket)
}
