//! One HTTP request at a time, with nothing between the test and the wire.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON, if it is some.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// Asks; `None` while nobody answers.
pub async fn ask(
    method: &str,
    address: impl Into<SocketAddr>,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let address = address.into();
    let mut stream = TcpStream::connect(address).await.ok()?;
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\ncontent-length: {}\r\n{lines}\r\n",
        address.port(),
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// GET on this machine.
pub async fn get(port: u16, path: &str) -> Option<Answer> {
    ask("GET", ([127, 0, 0, 1], port), path, &[], b"").await
}
