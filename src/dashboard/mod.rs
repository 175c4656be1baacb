//! What AgentPod shows over HTTP, and the little it takes: the status, the sign-in, the webhook. It reads what the
//! reconciler publishes and what the store holds, and never asks the engine. Every request comes in by `gate` and every
//! answer goes out by `outside`, whatever route is between them.

pub mod api;
pub mod assets;
pub mod auth;
mod gate;
mod handlers;
pub mod hooks;
mod html;
pub mod live;
pub mod metrics;
pub mod pages;
pub mod refusal;
mod response;
mod server;

use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, http::StatusCode, reply, reply::Response};

pub use self::server::{serve, serve_on};
use self::{
    api::Api,
    auth::{Auth, Visitor, visitor},
    hooks::Hooks,
    live::Live,
    refusal::Refusal,
};
use crate::reconcile::DaemonStatus;

/// A group of routes. Each is boxed on its own: the type of all of them together would take minutes to compile.
pub type Routes = BoxedFilter<(Response,)>;

/// What is served, and what it is made of.
#[derive(Clone)]
pub struct Dashboard {
    /// Who asks.
    pub auth: Arc<Auth>,
    /// What the last round published.
    pub view: watch::Receiver<DaemonStatus>,
    /// The webhook, if there is one.
    pub hooks: Option<Arc<Hooks>>,
    /// What the API answers from.
    pub api: Arc<Api>,
    /// What viewers are shown as it comes.
    pub live: Arc<Live>,
}

/// Every route; whoever serves them makes answers of what they reject. Paths come before `visitor()` and `writer()` in
/// each, so that only the route that is meant refuses.
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
        .or(handlers::routes(api))
        .unify();
    all.boxed()
}

/// GET, or HEAD, which asks for the same without the body.
fn get_or_head() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::get().or(warp::head()).unify()
}

/// Whether we live and are ready: for whoever looks after this process.
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

/// Figures for a scraper; the gate says which one.
fn figures(view: watch::Receiver<DaemonStatus>) -> Routes {
    let metrics = warp::path!("metrics").and(get_or_head()).map(move || {
        let text = metrics::text(&view.borrow());
        reply::with_header(text, "content-type", metrics::CONTENT_TYPE).into_response()
    });
    metrics.boxed()
}

/// What the last round published. It is about all tenants, so a tenant's person does not see it.
fn status(view: watch::Receiver<DaemonStatus>) -> Routes {
    // Small however many pods there are, for those who only want to know whether to wait.
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
