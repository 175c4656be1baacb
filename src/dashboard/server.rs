//! Connections: accepted, limited in time, and closed in order. Each request passes the gate, then reaches its route; a
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
    connections::Connections,
    gate::{self, ClientAddress},
    refusal::{self, Refusal},
    response, routes,
};
use crate::{core::access::throttle::network, descriptors};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests may continue after a stop.
const GRACE: Duration = Duration::from_secs(5);

type BodyError = Box<dyn Error + Send + Sync>;
type ServerResponse = Response<UnsyncBoxBody<Bytes, BodyError>>;

/// Opens the address that the dashboard listens on.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}; choose another address with --listen"))
}

/// Serves the dashboard until `stop`. The task ends with the last connection.
pub fn serve(listener: TcpListener, dashboard: &Dashboard, stop: CancellationToken) -> JoinHandle<()> {
    serve_on(listener, dashboard.auth.clone(), routes(dashboard), stop)
}

/// Serves any routes behind the gate, on an open listener.
pub fn serve_on(listener: TcpListener, auth: Arc<Auth>, routes: Routes, stop: CancellationToken) -> JoinHandle<()> {
    // warp's own server has no time limit for a request's head, so we handle the connections.
    let routes = routes.recover(refusal::recover).unify().boxed();
    let inner = TowerToHyperService::new(Compression::new(warp::service(routes)));
    tokio::spawn(async move {
        let (tasks, connections) = (TaskTracker::new(), Connections::within(descriptors::raise_limit()));
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(_) => {
                        // Probably out of file descriptors; other connections may end meanwhile.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let Some(place) = connections.admit(network(peer.ip())) else { continue };
            let (inner, auth, stop) = (inner.clone(), auth.clone(), stop.clone());
            tasks.spawn(async move {
                let place = &place;
                let service = service_fn(move |request| {
                    place.mark_used();
                    answer(inner.clone(), auth.clone(), peer.ip(), request)
                });
                // No HTTP/2: proxies do not use it with us, and detecting it has no time limit.
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = place.end.cancelled() => {}
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(GRACE, connection).await;
                    }
                }
            });
        }
        tasks.close();
        tasks.wait().await;
    })
}

/// Answers one request: `gate` first, `response` last.
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
    let admitted = gate::admit(&auth, peer, &method, &uri, request.headers()).await;
    let client = auth.client(peer, request.headers());
    let answered = match admitted {
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
