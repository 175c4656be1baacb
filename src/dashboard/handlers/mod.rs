//! Handlers of pages: read the store as the visitor, turn the result into a page's plain values, and render its template.
//! Nothing is decided here, and nothing is written except what a form requests.

mod account;
mod adapters;
mod commit;
mod events;
mod lines;
mod logs;
mod manifest;
mod new;
mod open;
mod overview;
mod pod;
mod pods;
mod query;
mod requests;
mod revision;
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
    auth::{Auth, RequestBody, SignedInBy, Visitor, signed, visitor, writer},
    gate::ClientAddress,
    get_or_head,
    pages::{self, Frame, Notice, PageContent, frame::PageViewer, problem::ProblemPage, words::Moment},
    refusal::Refusal,
};
use crate::core::access::Role;

/// What pages are made from: the same as the API.
struct Handlers {
    api: Arc<Api>,
    auth: Arc<Auth>,
}

/// A visitor at a page's URL.
struct PageRequest {
    visitor: Visitor,
    headers: HeaderMap,
    query: Query,
    now: OffsetDateTime,
}

/// `/assets`, and everything below `/dashboard`.
pub(crate) fn routes(api: &Arc<Api>, auth: &Arc<Auth>) -> Routes {
    let show = Arc::new(Handlers { api: api.clone(), auth: auth.clone() });
    let (looking, asking, trying) = (show.clone(), show.clone(), show.clone());
    let (editing, own, opening) = (show.clone(), show.clone(), show.clone());
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
                let page_request =
                    PageRequest { visitor, headers, query: Query::read(&query), now: (show.api.clock)() };
                let answer = show.page(path.as_str(), &page_request).await;
                answer.unwrap_or_else(|refusal| show.refuse(&page_request, refusal))
            }
        });
    let ask = warp::path!("dashboard" / "requests").and(warp::post()).and(writer()).then(
        move |visitor: Visitor, sent: RequestBody| {
            let show = asking.clone();
            async move { show.create_request(&visitor, &sent).await.unwrap_or_else(Reply::into_response) }
        },
    );
    // The form itself changes nothing, so everybody who sees the source may try it; committing checks who it is.
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
                let page_request = PageRequest { visitor, headers, query: Query::default(), now: (show.api.clock)() };
                let answer = match path.as_str() {
                    "/dashboard/pods/new" => show.try_form(&page_request, &sent).await,
                    "/dashboard/pods/new/manifest" => show.download(&page_request, &sent).await,
                    "/dashboard/pods/new/commit" => show.commit(&page_request, &sent).await,
                    _ => Err(nothing()),
                };
                answer.unwrap_or_else(|refusal| show.refuse(&page_request, refusal))
            }
        });
    let edit = warp::path!("dashboard" / "pods" / String / String / "manifest")
        .and(warp::post())
        .and(writer())
        .and(warp::header::headers_cloned())
        .then(move |tenant: String, name: String, visitor, sent: RequestBody, headers| {
            let show = editing.clone();
            async move {
                let page_request = PageRequest { visitor, headers, query: Query::default(), now: (show.api.clock)() };
                let answer = show.edit_manifest(&page_request, &tenant, &name, &sent).await;
                answer.unwrap_or_else(|refusal| show.refuse(&page_request, refusal))
            }
        });
    let open = warp::path!("dashboard" / "pods" / String / String / "open")
        .and(warp::post())
        .and(writer())
        .and(warp::header::headers_cloned())
        .then(move |tenant: String, name: String, visitor, _: RequestBody, headers| {
            let show = opening.clone();
            async move {
                let page_request = PageRequest { visitor, headers, query: Query::default(), now: (show.api.clock)() };
                let answer = show.open(&page_request, &tenant, &name).await;
                answer.unwrap_or_else(|refusal| show.refuse(&page_request, refusal))
            }
        });
    let account = warp::path!("dashboard" / "account")
        .and(warp::post())
        .and(signed())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<ClientAddress>())
        .then(move |visitor, sent: RequestBody, headers, ClientAddress(client)| {
            let show = own.clone();
            async move {
                let page_request = PageRequest { visitor, headers, query: Query::default(), now: (show.api.clock)() };
                let answer = show.change_account(&page_request, &sent, client).await;
                answer.unwrap_or_else(|refusal| show.refuse(&page_request, refusal))
            }
        });
    look.or(ask)
        .unify()
        .or(edit)
        .unify()
        .or(account)
        .unify()
        .or(open)
        .unify()
        .or(form)
        .unify()
        .or(files())
        .unify()
        .boxed()
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
    async fn page(&self, path: &str, page_request: &PageRequest) -> Result<Response, Refusal> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        match parts[..] {
            [] => {
                let page = self.overview(page_request).await?;
                self.write_with(page_request, &page, self.notice(page_request).await?)
            }
            ["pods"] => self.write(page_request, &self.pods(page_request).await?),
            ["pods", "new"] => self.write(page_request, &self.new_pod(page_request).await?),
            ["pods", tenant, name] => {
                let page = self.pod(page_request, tenant, name).await?;
                self.write_with(page_request, &page, self.notice(page_request).await?)
            }
            ["pods", tenant, name, "logs"] => self.write(page_request, &self.logs(page_request, tenant, name).await?),
            ["pods", tenant, name, "manifest"] => {
                self.write(page_request, &self.manifest(page_request, tenant, name).await?)
            }
            ["tenants"] => self.write(page_request, &self.tenants(page_request).await?),
            ["tenants", name] => self.write(page_request, &self.tenant(page_request, name).await?),
            ["events"] => self.write(page_request, &self.events(page_request).await?),
            ["account"] => self.write(page_request, &self.account(page_request).await?),
            ["adapters"] => self.write(page_request, &self.adapters(page_request).await?),
            ["source"] => {
                let page = self.source(page_request).await?;
                self.write_with(page_request, &page, self.notice(page_request).await?)
            }
            ["revisions", id] => self.write(page_request, &self.revision(page_request, id).await?),
            ["settings"] => self.write(page_request, &self.settings(page_request).await?),
            _ => Err(nothing()),
        }
    }

    fn write<P: PageContent>(&self, page_request: &PageRequest, page: &P) -> Result<Response, Refusal> {
        self.write_with(page_request, page, None)
    }

    fn write_with<P: PageContent>(
        &self,
        page_request: &PageRequest,
        page: &P,
        notice: Option<Notice>,
    ) -> Result<Response, Refusal> {
        let person = &page_request.visitor.person;
        let frame = Frame {
            title: page.title(),
            instance: self.api.settings.instance.clone(),
            version: env!("CARGO_PKG_VERSION"),
            theme: theme(&page_request.headers),
            tabs: pages::frame::tabs(P::TAB, person.sees_all()),
            person: Some(PageViewer {
                name: person.name.clone(),
                role: if person.role == Role::Operator { "operator" } else { "viewer" },
                tenant: person.tenant.as_ref().map(ToString::to_string),
                can_sign_out: page_request.visitor.via == SignedInBy::Session,
            }),
            csrf: page_request.visitor.csrf.clone().unwrap_or_default(),
            sees_all: person.sees_all(),
            may_ask_for_all: person.may_request_for_all(),
            notice,
            now: Moment::new(page_request.now, page_request.now),
            tones: pages::frame::tones(),
        };
        match pages::document(&frame, page) {
            Ok(text) => Ok(warp::reply::html(text).into_response()),
            Err(error) => {
                tracing::error!("the page {} could not be rendered: {error:#}", P::TEMPLATE);
                Err(Refusal::internal())
            }
        }
    }
}

impl Handlers {
    /// A refusal in the frame of every page, so that its visitor can go on from there.
    fn refuse(&self, page_request: &PageRequest, refusal: Refusal) -> Response {
        let page = ProblemPage::new(refusal.status.as_u16(), refusal.title(), refusal.detail.clone());
        match self.write(page_request, &page) {
            Ok(mut answer) => {
                *answer.status_mut() = refusal.status;
                if let Some(seconds) = refusal.retry_after {
                    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                }
                answer
            }
            Err(_) => refusal.into_response(),
        }
    }
}

/// The theme that the visitor chose.
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
    Refusal::not_found("There is no such page.")
}
