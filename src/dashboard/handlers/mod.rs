//! Who asks for a page gets it here: the store is asked as that person, the answer becomes a page's plain values, a template
//! writes them down. Nothing is decided and nothing written here but what somebody asks for.

mod adapters;
mod commit;
mod lines;
mod logs;
mod new;
mod overview;
mod pod;
mod pods;
mod query;
mod requests;
mod settings;
mod source;
mod tenants;

use std::sync::Arc;

use cookie::Cookie;
use time::OffsetDateTime;
use warp::{
    Filter, Reply,
    http::{HeaderMap, HeaderValue, header},
    path::FullPath,
    reply::Response,
};

use self::query::Query;
use super::{
    Routes,
    api::Api,
    assets,
    auth::{RequestBody, SignedInBy, Visitor, signed, visitor, writer},
    get_or_head,
    pages::{self, Frame, Page, frame::PageViewer, words::Moment},
    refusal::Refusal,
};
use crate::core::access::Role;

/// What pages are made from: the same as the API's answers.
struct Handlers {
    api: Arc<Api>,
}

/// Somebody at a page's address.
struct PageRequest {
    visitor: Visitor,
    headers: HeaderMap,
    query: Query,
    now: OffsetDateTime,
}

/// `/assets`, and everything below `/dashboard`.
pub fn routes(api: &Arc<Api>) -> Routes {
    let show = Arc::new(Handlers { api: api.clone() });
    let (looking, asking, trying) = (show.clone(), show.clone(), show.clone());
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let look = warp::path("dashboard")
        .and(warp::path::full())
        .and(get_or_head())
        .and(visitor())
        .and(warp::header::headers_cloned())
        .and(query)
        .then(move |path: FullPath, visitor, headers, query: String| {
            let show = looking.clone();
            async move {
                let guest = PageRequest { visitor, headers, query: Query::read(&query), now: (show.api.clock)() };
                show.page(path.as_str(), &guest).await.unwrap_or_else(Reply::into_response)
            }
        });
    let ask = warp::path!("dashboard" / "requests").and(warp::post()).and(writer()).then(
        move |visitor: Visitor, sent: RequestBody| {
            let show = asking.clone();
            async move { show.create_request(&visitor, &sent).await.unwrap_or_else(Reply::into_response) }
        },
    );
    // The form itself changes nothing, so everybody who sees the source may try one; committing asks who it is.
    let form = warp::path("dashboard")
        .and(warp::path("pods"))
        .and(warp::path("new"))
        .and(warp::path::full())
        .and(warp::post())
        .and(signed())
        .and(warp::header::headers_cloned())
        .then(move |path: FullPath, visitor, sent: RequestBody, headers| {
            let show = trying.clone();
            async move {
                let guest = PageRequest { visitor, headers, query: Query::default(), now: (show.api.clock)() };
                let answer = match path.as_str() {
                    "/dashboard/pods/new" => show.try_form(&guest, &sent).await,
                    "/dashboard/pods/new/manifest" => show.download(&guest, &sent).await,
                    "/dashboard/pods/new/commit" => show.commit(&guest, &sent).await,
                    _ => Err(nothing()),
                };
                answer.unwrap_or_else(Reply::into_response)
            }
        });
    look.or(ask).unify().or(form).unify().or(files()).unify().boxed()
}

fn files() -> Routes {
    let file = warp::path("assets").and(warp::path::full()).and(get_or_head());
    file.map(|path: FullPath| match assets::at(path.as_str()) {
        None => nothing().into_response(),
        Some(asset) => {
            let mut answer = asset.bytes.into_response();
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
            answer
        }
    })
    .boxed()
}

impl Handlers {
    async fn page(&self, path: &str, guest: &PageRequest) -> Result<Response, Refusal> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        match parts[..] {
            [] => self.write(guest, &self.overview(guest).await?),
            ["pods"] => self.write(guest, &self.pods(guest).await?),
            ["pods", "new"] => self.write(guest, &self.new_pod(guest).await?),
            ["pods", tenant, name] => self.write(guest, &self.pod(guest, tenant, name).await?),
            ["pods", tenant, name, "logs"] => self.write(guest, &self.logs(guest, tenant, name).await?),
            ["tenants"] => self.write(guest, &self.tenants(guest).await?),
            ["tenants", name] => self.write(guest, &self.tenant(guest, name).await?),
            ["adapters"] => self.write(guest, &self.adapters(guest).await?),
            ["source"] => self.write(guest, &self.source(guest).await?),
            ["settings"] => self.write(guest, &self.settings(guest).await?),
            _ => Err(nothing()),
        }
    }

    fn write<P: Page>(&self, guest: &PageRequest, page: &P) -> Result<Response, Refusal> {
        let person = &guest.visitor.person;
        let notice = guest.query.get("requested").and_then(requests::confirmation);
        let frame = Frame {
            title: page.title(),
            instance: self.api.settings.instance.clone(),
            version: env!("CARGO_PKG_VERSION"),
            theme: theme(&guest.headers),
            tabs: pages::frame::tabs(P::TAB, person.sees_all()),
            person: Some(PageViewer {
                name: person.name.clone(),
                role: if person.role == Role::Operator { "operator" } else { "viewer" },
                tenant: person.tenant.as_ref().map(ToString::to_string),
                can_leave: guest.visitor.via == SignedInBy::Session,
            }),
            csrf: guest.visitor.csrf.clone().unwrap_or_default(),
            sees_all: person.sees_all(),
            may_ask_for_all: person.may_request_for_all(),
            notice,
            now: Moment::new(guest.now, guest.now),
            tones: pages::frame::tones(),
        };
        match pages::document(&frame, page) {
            Ok(text) => Ok(warp::reply::html(text).into_response()),
            Err(error) => {
                tracing::error!("the page {} cannot be shown: {error:#}", P::TEMPLATE);
                Err(Refusal::internal())
            }
        }
    }
}

/// The theme somebody chose.
fn theme(headers: &HeaderMap) -> Option<&'static str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).flatten();
    cookies.find_map(|cookie| match cookie.name_value() {
        ("agentpod_theme", "light") => Some("light"),
        ("agentpod_theme", "dark") => Some("dark"),
        _ => None,
    })
}

fn nothing() -> Refusal {
    Refusal::not_found("There is nothing at this address.")
}
