//! The check that every request passes before any route sees it. A path that is not listed here needs a signed-in person:
//! also one whose route forgets to ask, and one that leads nowhere.

use std::net::IpAddr;

use warp::http::{HeaderMap, Method, Uri, header};

use super::{
    auth::{Auth, SignedInBy, Visitor},
    refusal::Refusal,
};

/// The address a request comes from, as far as a trusted proxy says.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub IpAddr);

/// How a path is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Health checks, webhook deliveries (which carry a signature), and the pages' assets: for everybody.
    Public,
    /// The sign-in page: for everybody, but not from another site's page.
    SignIn,
    /// Metrics for a scraper: for this machine, and for people who see all tenants.
    Metrics,
    /// Everything else: for people who are signed in.
    Authenticated,
}

fn guard(path: &str) -> Guard {
    match path {
        "/healthz" | "/readyz" | "/hooks/git" => Guard::Public,
        "/" | "/login" => Guard::SignIn,
        "/metrics" => Guard::Metrics,
        path if path.starts_with("/assets/") => Guard::Public,
        _ => Guard::Authenticated,
    }
}

/// Whether a response is read by a program rather than by a person.
pub(super) fn is_for_program(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || matches!(path, "/metrics" | "/healthz" | "/readyz" | "/hooks/git")
}

/// Admits a request, with the visitor if known, or says why not.
pub(super) async fn admit(
    auth: &Auth,
    peer: IpAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Visitor>, Refusal> {
    let guard = guard(uri.path());
    if guard == Guard::Public || guard == Guard::Metrics && auth.is_from_here(headers) {
        return Ok(None);
    }
    let visitor = match auth.authenticate(peer, headers).await {
        Ok(visitor) => Some(visitor),
        Err(refusal) if guard == Guard::SignIn && refusal == Refusal::unknown_visitor() => None,
        Err(refusal) => return Err(refusal),
    };
    // A browser never sends a token on its own; everything else it does, even when another site's page asks.
    let is_sent_by_itself = visitor.as_ref().is_none_or(|visitor| visitor.via != SignedInBy::Token);
    let changes_or_stays = !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    if is_sent_by_itself && changes_or_stays && !auth.is_same_origin(headers) {
        return Err(Refusal::forbidden(
            "the request comes from another site's page; open AgentPod's own page and try again there",
        ));
    }
    if guard == Guard::Metrics && visitor.as_ref().is_some_and(|visitor| !visitor.person.sees_all()) {
        return Err(Refusal::forbidden("metrics cover all tenants, and this account may see only one"));
    }
    Ok(visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_guarded() {
        for path in
            ["/dashboard", "/api/v1/status", "/nowhere", "/assets", "/healthz/", "//healthz", "/logout", "/login/"]
        {
            assert_eq!(guard(path), Guard::Authenticated, "{path}");
        }
    }
}
