//! `/api/v1`: everything that pages show, as JSON, and requests by `POST`. One table has every route; it leads to the
//! handlers and to the description at `/api/v1/openapi.json`, so that the two cannot disagree. Reads the store as the
//! visitor; it asks the reconciler only for container logs without secrets.

mod answer;
mod fleet;
mod logs;
mod manifests;
mod openapi;
mod params;
mod pods;
mod requests;
mod settings;
mod table;

use std::sync::Arc;

use tokio::sync::watch;
use warp::{
    Filter, Reply,
    http::{HeaderMap, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};

use self::{
    params::Params,
    table::{Found, Name},
};
pub use self::{requests::NewRequest, settings::SettingsView};
use super::{
    Routes,
    auth::{Auth, Clock, RequestBody, Visitor, visitor, writer},
    get_or_head,
    refusal::Refusal,
};
use crate::{
    reconcile::{DaemonStatus, Edits, LogReader},
    store::Store,
};
pub(crate) use manifests::{EditLine, ManifestEdit, ManifestLine};
pub(crate) use requests::RequestLine;

/// The root of all paths.
const ROOT: &str = "/api/v1";

/// What the API answers from.
pub struct Api {
    /// The read model, and where requests are stored.
    pub store: Arc<Store>,
    /// The daemon's status as of its last round.
    pub view: watch::Receiver<DaemonStatus>,
    /// Reads container logs, while this AgentPod is active.
    pub logs: watch::Receiver<Option<LogReader>>,
    /// Adds new pods to the source, if that is enabled.
    pub edits: Option<Arc<Edits>>,
    /// The settings this AgentPod was started with.
    pub settings: SettingsView,
    /// The clock.
    pub clock: Clock,
}

/// A parsed request to the API.
struct Question<'a> {
    visitor: &'a Visitor,
    /// The values of `{names}` in the path, in order.
    names: Vec<String>,
    params: Params,
}

/// The API's routes. Everything below `/api/v1` that no other route took is answered here.
pub(crate) fn routes(api: &Arc<Api>, auth: &Arc<Auth>) -> Routes {
    // A path that is not in the table is left to other routes.
    let known = || {
        warp::path!("api" / "v1" / ..).and(warp::path::full()).and_then(async |path: FullPath| {
            table::find(path.as_str()).map(|_| path).ok_or_else(warp::reject::not_found)
        })
    };
    let (asking, looking, auth) = (api.clone(), api.clone(), auth.clone());
    let create = known().and(warp::post()).and(writer()).then(move |path: FullPath, visitor, sent| {
        let api = asking.clone();
        async move { respond(api.create(&visitor, &sent, path.as_str()).await) }
    });
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let read = known().and(get_or_head()).and(visitor()).and(query).and(warp::header::headers_cloned()).then(
        move |path: FullPath, visitor, query: String, headers| {
            let (api, auth) = (looking.clone(), auth.clone());
            async move { respond(api.read(auth, &visitor, path.as_str(), &query, &headers).await) }
        },
    );
    let other = known().and(warp::method()).and_then(async |path: FullPath, method| match method {
        Method::GET | Method::HEAD | Method::POST => Err(warp::reject::not_found()),
        _ => {
            Ok(table::find(path.as_str()).map_or_else(|| nothing().into_response(), |found| method_not_allowed(&found)))
        }
    });
    create.or(read).unify().or(other).unify().boxed()
}

impl Api {
    async fn read(
        &self,
        auth: Arc<Auth>,
        visitor: &Visitor,
        path: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let found = table::find(path).ok_or_else(nothing)?;
        let Some(operation) = found.operation("get") else { return Ok(method_not_allowed(&found)) };
        if !(operation.name == Name::Logs && answer::wants(headers, answer::LINES)) {
            answer::acceptable(headers, operation.kind)?;
        }
        let params = Params::read(query, &operation.parameters())?;
        let question = Question { visitor, names: found.names.clone(), params };
        match operation.name {
            Name::Logs => return self.logs(auth, &question, headers).await,
            Name::OpenApi => return Ok(answer::tagged(headers, openapi::document())),
            _ => {}
        }
        let body = match operation.name {
            Name::Overview => answer::json(&self.store.view(&visitor.person).overview().await?)?,
            Name::Pods => self.pods(&question).await?,
            Name::Pod => self.pod(&question).await?,
            Name::PodEvents => self.pod_events(&question).await?,
            Name::PodUsage => self.pod_usage(&question).await?,
            Name::Manifest => self.manifest(&question).await?,
            Name::Tenants => self.tenants(&question).await?,
            Name::Tenant => self.tenant(&question).await?,
            Name::Adapters => self.adapters(&question).await?,
            Name::Source => self.source(&question).await?,
            Name::Revisions => self.revisions(&question).await?,
            Name::Revision => self.revision(&question).await?,
            Name::Events => self.events(&question).await?,
            Name::Settings => self.settings(&question)?,
            Name::Request => self.request(&question).await?,
            Name::Logs | Name::OpenApi | Name::CreateRequest | Name::EditManifest => return Err(nothing()),
        };
        Ok(answer::tagged(headers, body))
    }

    async fn create(&self, visitor: &Visitor, sent: &RequestBody, path: &str) -> Result<Response, Refusal> {
        let found = table::find(path).ok_or_else(nothing)?;
        match found.operation("post").map(|operation| operation.name) {
            Some(Name::CreateRequest) => self.create_request(visitor, sent).await,
            Some(Name::EditManifest) => self.edit_manifest(visitor, sent, found.names).await,
            _ => Ok(method_not_allowed(&found)),
        }
    }
}

fn respond(answer: Result<Response, Refusal>) -> Response {
    answer.unwrap_or_else(Refusal::into_response)
}

fn nothing() -> Refusal {
    Refusal::not_found("there is no such endpoint; /api/v1/openapi.json lists them")
}

fn method_not_allowed(found: &Found) -> Response {
    let refusal = Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        detail: format!("this method is not allowed here; use {}", found.methods()),
        retry_after: None,
    };
    let mut answer = refusal.into_response();
    if let Ok(methods) = found.methods().parse() {
        answer.headers_mut().insert(header::ALLOW, methods);
    }
    answer
}
