//! What AgentPod shows over HTTP: for now `/healthz`, `/readyz` and the status as JSON; the pages come on top. It reads
//! what the reconciler publishes and never asks the engine. The one thing that is not shown but taken is the webhook.

pub mod assets;
pub mod hooks;
pub mod pages;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, Reply, http::StatusCode, reply};

use self::hooks::Hooks;
use crate::reconcile::Overview;

/// How long a client may take to send its request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long running requests may go on after a stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop`. The task ends when the last connection has.
pub async fn serve(
    listen: SocketAddr,
    view: watch::Receiver<Overview>,
    hooks: Option<Arc<Hooks>>,
    stop: CancellationToken,
) -> Result<JoinHandle<()>> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("{listen} cannot be listened on: {error}; choose another with --listen"))?;
    // warp's own server has no time limit for a request's head, so the connections are ours.
    let service = TowerToHyperService::new(warp::service(routes(view, hooks)));
    Ok(tokio::spawn(async move {
        let connections = TaskTracker::new();
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        // Out of file descriptors, most likely: others may end meanwhile.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (service, stop) = (service.clone(), stop.clone());
            connections.spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
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
    }))
}

fn routes(
    view: watch::Receiver<Overview>,
    hooks: Option<Arc<Hooks>>,
) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone {
    let healthz = warp::path!("healthz").and(warp::get()).map(|| reply::json(&json!({"ok": true})).into_response());
    let ready_view = view.clone();
    let readyz = warp::path!("readyz").and(warp::get()).map(move || {
        let overview = ready_view.borrow();
        let reasons = overview.unready();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = reply::json(&json!({"ready": reasons.is_empty(), "role": overview.role, "reasons": reasons}));
        reply::with_status(body, status).into_response()
    });
    // Small however many pods there are, for those who only want to know whether to wait.
    let busy_view = view.clone();
    let busy = warp::path!("api" / "v1" / "busy").and(warp::get()).map(move || {
        let overview = busy_view.borrow();
        reply::json(&json!({"instance": overview.instance, "busy": overview.busy})).into_response()
    });
    let status =
        warp::path!("api" / "v1" / "status").and(warp::get()).map(move || reply::json(&*view.borrow()).into_response());
    let index = warp::path::end()
        .and(warp::get())
        .map(|| warp::redirect::found(warp::http::Uri::from_static("/api/v1/status")).into_response());
    healthz.or(readyz).unify().or(status).unify().or(busy).unify().or(index).unify().or(hooks::route(hooks)).unify()
}
