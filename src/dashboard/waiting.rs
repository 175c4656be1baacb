//! What is answered while the daemon waits for its database: that it lives, and what it waits for. Nothing else can be
//! answered yet, not even who asks.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

/// How many connections are answered at a time.
const AT_ONCE: usize = 64;
/// How long a client may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Answers until it is dropped. `why` is a sentence about the database.
pub(crate) async fn answer_waiting(listener: &TcpListener, why: &str) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < AT_ONCE => match accepted {
                Ok((stream, _)) => {
                    let why = why.to_owned();
                    connections.spawn(async move {
                        let service = service_fn(|request| std::future::ready(answer(&request, &why)));
                        let mut server = http1::Builder::new();
                        // Not kept open: the next request may be for the whole dashboard.
                        server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(LIMIT);
                        let _ = tokio::time::timeout(LIMIT, server.serve_connection(TokioIo::new(stream), service)).await;
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer(request: &Request<Incoming>, why: &str) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, json!({"ok": true})),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, json!({"ready": false, "role": "standby", "reasons": [why]})),
        _ => (StatusCode::SERVICE_UNAVAILABLE, json!({"title": "AgentPod waits for its database", "detail": why})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if status != StatusCode::OK {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
    }
    Ok(response)
}
