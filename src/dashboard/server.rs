//! Connections: taken, given a time limit, and ended in order. Each request goes through the gate, then to its route; a
//! handler that panics costs its own request and nothing else.

use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::compression::Compression;
use tracing::error;
use warp::{
    Filter,
    http::{Request, Response},
};

use super::{
    Dashboard, Routes,
    auth::Auth,
    gate::{self, ClientAddress},
    refusal::{self, Refusal},
    response, routes,
};

/// How long a client may take to send its request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long running requests may go on after a stop.
const GRACE: Duration = Duration::from_secs(5);

type BodyError = Box<dyn Error + Send + Sync>;
type ServerResponse = Response<UnsyncBoxBody<Bytes, BodyError>>;

/// Serves the dashboard until `stop`. The task ends when the last connection has.
pub async fn serve(listen: SocketAddr, dashboard: Dashboard, stop: CancellationToken) -> Result<JoinHandle<()>> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("{listen} cannot be listened on: {error}; choose another with --listen"))?;
    Ok(serve_on(listener, dashboard.auth.clone(), routes(&dashboard), stop))
}

/// Serves any routes behind the gate, on what is listened on already.
pub fn serve_on(listener: TcpListener, auth: Arc<Auth>, routes: Routes, stop: CancellationToken) -> JoinHandle<()> {
    // warp's own server has no time limit for a request's head, so the connections are ours.
    let routes = routes.recover(refusal::recover).unify().boxed();
    let inner = TowerToHyperService::new(Compression::new(warp::service(routes)));
    tokio::spawn(async move {
        let connections = TaskTracker::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(_) => {
                        // Out of file descriptors, most likely: others may end meanwhile.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (inner, auth, stop) = (inner.clone(), auth.clone(), stop.clone());
            connections.spawn(async move {
                let service = service_fn(move |request| answer(inner.clone(), auth.clone(), peer.ip(), request));
                // No HTTP/2: proxies do not speak it with us, and finding out which of the two it is has no time limit.
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
                let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(GRACE, connection).await;
                    }
                }
            });
        }
        connections.close();
        connections.wait().await;
    })
}

/// Answers one request: in by the gate, out by `outside`.
async fn answer<S, B>(
    inner: S,
    auth: Arc<Auth>,
    peer: IpAddr,
    mut request: Request<Incoming>,
) -> Result<ServerResponse, Infallible>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + 'static,
{
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let let_in = gate::let_in(&auth, peer, &method, &uri, request.headers()).await;
    let client = auth.client(peer, request.headers());
    let answered = match let_in {
        Ok(visitor) => {
            request.extensions_mut().insert(ClientAddress(client));
            visitor.map(|visitor| request.extensions_mut().insert(visitor));
            match AssertUnwindSafe(inner.call(request)).catch_unwind().await {
                Ok(Ok(answered)) => Ok(answered),
                Ok(Err(never)) => match never {},
                Err(_) => {
                    error!("a handler for {method} {} panicked", uri.path());
                    Err(Refusal::internal())
                }
            }
        }
        Err(refusal) => Err(refusal),
    };
    let mut answer = match answered {
        Ok(answered) => match answered.extensions().get::<Refusal>() {
            Some(refusal) => response::write_refusal(refusal, &method, &uri, answered.headers()).map(boxed),
            None => answered.map(boxed),
        },
        Err(refusal) => response::write_refusal(&refusal, &method, &uri, &Default::default()).map(boxed),
    };
    response::add_headers(answer.headers_mut(), uri.path(), auth.is_secure());
    Ok(answer)
}

fn boxed<B: Body<Data = Bytes, Error: Into<BodyError>> + Send + 'static>(body: B) -> UnsyncBoxBody<Bytes, BodyError> {
    body.map_err(Into::into).boxed_unsync()
}
