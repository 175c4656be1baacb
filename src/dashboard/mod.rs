//! The dashboard and the API: status, sign-in, pages, webhook. They read what the reconciler publishes and what the store
//! has, and never call the engine. Every request passes `gate` first and every response `response` last, whatever the route
//! in between.

pub mod api;
pub mod assets;
pub mod auth;
mod connections;
mod gate;
mod handlers;
pub(crate) mod hooks;
mod html;
pub mod live;
pub(crate) mod metrics;
pub mod pages;
pub mod refusal;
mod response;
mod server;
mod shares;
mod waiting;

use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, http::StatusCode, reply, reply::Response};

pub use self::server::{bind, serve, serve_on};
pub(crate) use self::waiting::answer_waiting;
use self::{
    api::Api,
    auth::{Auth, Visitor, visitor},
    hooks::Hooks,
    live::Live,
    refusal::Refusal,
};
use crate::reconcile::DaemonStatus;

/// A group of routes. Each is boxed: the combined type of all would take minutes to compile.
pub type Routes = BoxedFilter<(Response,)>;

/// What the routes are made of.
#[derive(Clone)]
pub struct Dashboard {
    /// Authentication.
    pub auth: Arc<Auth>,
    /// The daemon's status as of its last round.
    pub view: watch::Receiver<DaemonStatus>,
    /// The webhook, if there is one.
    pub hooks: Option<Arc<Hooks>>,
    /// The API.
    pub api: Arc<Api>,
    /// Live changes.
    pub live: Arc<Live>,
}

/// Every route; the server turns rejections into responses. In each, the path comes before `visitor()` and `writer()`, so
/// that only the matching route refuses.
pub fn routes(dashboard: &Dashboard) -> Routes {
    let Dashboard { auth, view, hooks, api, live } = dashboard;
    let all = open(view.clone())
        .or(hooks::route(hooks.clone()))
        .unify()
        .or(auth::sign_in::routes(auth))
        .unify()
        .or(figures(view.clone()))
        .unify()
        .or(status(view.clone()))
        .unify()
        .or(live::routes(live, auth))
        .unify()
        .or(api::routes(api, auth))
        .unify()
        .or(handlers::routes(api, auth))
        .unify();
    all.boxed()
}

/// GET, or HEAD, which is GET without the body.
fn get_or_head() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::get().or(warp::head()).unify()
}

/// Liveness and readiness, for whatever supervises this process.
fn open(view: watch::Receiver<DaemonStatus>) -> Routes {
    let healthz = warp::path!("healthz").and(get_or_head()).map(|| reply::json(&json!({"ok": true})).into_response());
    let readyz = warp::path!("readyz").and(get_or_head()).map(move || {
        let overview = view.borrow();
        let reasons = overview.unready_reasons();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = reply::json(&json!({"ready": reasons.is_empty(), "role": overview.role, "reasons": reasons}));
        reply::with_status(body, status).into_response()
    });
    healthz.or(readyz).unify().boxed()
}

/// Metrics for a scraper; the gate says who may read them.
fn figures(view: watch::Receiver<DaemonStatus>) -> Routes {
    let metrics = warp::path!("metrics").and(get_or_head()).map(move || {
        let text = metrics::text(&view.borrow());
        reply::with_header(text, "content-type", metrics::CONTENT_TYPE).into_response()
    });
    metrics.boxed()
}

/// The daemon's status. It covers all tenants, so a tenant's person does not see it.
fn status(view: watch::Receiver<DaemonStatus>) -> Routes {
    // Small however many pods there are, for clients that only want to know whether to wait.
    let busy_view = view.clone();
    let busy = warp::path!("api" / "v1" / "busy").and(visitor()).map(move |visitor: Visitor| {
        let overview = busy_view.borrow();
        let body = json!({"instance": overview.instance, "busy": overview.busy});
        visitor
            .needs(visitor.person.sees_all())
            .map_or_else(Refusal::into_response, |()| reply::json(&body).into_response())
    });
    let status = warp::path!("api" / "v1" / "status").and(visitor()).map(move |visitor: Visitor| {
        let allowed = visitor.needs(visitor.person.sees_all());
        allowed.map_or_else(Refusal::into_response, |()| reply::json(&*view.borrow()).into_response())
    });
    status.or(busy).unify().boxed()
}
