//! `/api/v1`: everything the pages show, as JSON, and requests as `POST`. One table says which addresses there are; it leads
//! to the handlers and to the description at `/api/v1/openapi.json`, so that the two cannot disagree. Asks the store as the
//! person who asks; the one thing it asks the reconciler for is a container's log without its secrets.

mod answer;
mod fleet;
mod logs;
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
pub use self::{
    requests::{NewRequest, RequestLine},
    settings::SettingsView,
};
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

/// Where all of it is.
const ROOT: &str = "/api/v1";

/// What the API answers from.
pub struct Api {
    /// What is remembered.
    pub store: Arc<Store>,
    /// What the last round published.
    pub view: watch::Receiver<DaemonStatus>,
    /// Reads containers' logs, while this AgentPod acts.
    pub logs: watch::Receiver<Option<LogReader>>,
    /// Adds new pods to the source, where that is wished.
    pub edits: Option<Arc<Edits>>,
    /// How this AgentPod was started.
    pub settings: SettingsView,
    /// Tells the time.
    pub clock: Clock,
}

/// A question, taken apart.
struct Question<'a> {
    visitor: &'a Visitor,
    /// What stands in the address in place of names, in order.
    names: Vec<String>,
    params: Params,
}

/// The API's routes. Everything below `/api/v1` that no route before took is answered here.
pub fn routes(api: &Arc<Api>, auth: &Arc<Auth>) -> Routes {
    // An address that is not in the table is left to other routes.
    let known = || {
        warp::path!("api" / "v1" / ..).and(warp::path::full()).and_then(async |path: FullPath| {
            table::find(path.as_str()).map(|_| path).ok_or_else(warp::reject::not_found)
        })
    };
    let (asking, looking, auth) = (api.clone(), api.clone(), auth.clone());
    let ask = known().and(warp::post()).and(writer()).then(move |path: FullPath, visitor, sent| {
        let api = asking.clone();
        async move { said(api.ask(&visitor, &sent, path.as_str()).await) }
    });
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let look = known().and(get_or_head()).and(visitor()).and(query).and(warp::header::headers_cloned()).then(
        move |path: FullPath, visitor, query: String, headers| {
            let (api, auth) = (looking.clone(), auth.clone());
            async move { said(api.look(auth, &visitor, path.as_str(), &query, &headers).await) }
        },
    );
    let other = known().and(warp::method()).and_then(async |path: FullPath, method| match method {
        Method::GET | Method::HEAD | Method::POST => Err(warp::reject::not_found()),
        _ => {
            Ok(table::find(path.as_str()).map_or_else(|| nothing().into_response(), |found| not_by_that_method(&found)))
        }
    });
    ask.or(look).unify().or(other).unify().boxed()
}

impl Api {
    async fn look(
        &self,
        auth: Arc<Auth>,
        visitor: &Visitor,
        path: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let found = table::find(path).ok_or_else(nothing)?;
        let Some(operation) = found.operation("get") else { return Ok(not_by_that_method(&found)) };
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
            Name::Tenants => self.tenants(&question).await?,
            Name::Tenant => self.tenant(&question).await?,
            Name::Adapters => self.adapters(&question).await?,
            Name::Source => self.source(&question).await?,
            Name::Revisions => self.revisions(&question).await?,
            Name::Revision => self.revision(&question).await?,
            Name::Events => self.events(&question).await?,
            Name::Settings => self.settings(&question)?,
            Name::Request => self.request(&question).await?,
            Name::Logs | Name::OpenApi | Name::CreateRequest => return Err(nothing()),
        };
        Ok(answer::tagged(headers, body))
    }

    async fn ask(&self, visitor: &Visitor, sent: &RequestBody, path: &str) -> Result<Response, Refusal> {
        let found = table::find(path).ok_or_else(nothing)?;
        match found.operation("post").map(|operation| operation.name) {
            Some(Name::CreateRequest) => self.create_request(visitor, sent).await,
            _ => Ok(not_by_that_method(&found)),
        }
    }
}

fn said(answer: Result<Response, Refusal>) -> Response {
    answer.unwrap_or_else(Refusal::into_response)
}

fn nothing() -> Refusal {
    Refusal::not_found("there is nothing at this address; /api/v1/openapi.json lists what there is")
}

fn not_by_that_method(found: &Found) -> Response {
    let refusal = Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        detail: format!("this is not done by that method here, only by {}", found.methods()),
        retry_after: None,
    };
    let mut answer = refusal.into_response();
    if let Ok(methods) = found.methods().parse() {
        answer.headers_mut().insert(header::ALLOW, methods);
    }
    answer
}
