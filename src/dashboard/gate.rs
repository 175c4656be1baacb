//! What every request goes through on its way in, before any route is looked at. Closed unless listed here: a route that
//! forgets to ask who asks is closed all the same, and so is an address that leads nowhere.

use std::net::IpAddr;

use warp::http::{HeaderMap, Method, Uri, header};

use super::{
    auth::{Auth, SignedInBy, Visitor},
    refusal::Refusal,
};

/// Who is behind a request, as far as a trusted proxy says.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub IpAddr);

/// How an address is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Whether we live, forges' deliveries (which bring a signature), and what pages look like: for everybody.
    None,
    /// The sign-in: for everybody, but not by another page.
    Door,
    /// Figures for a scraper: for this machine, and for who sees all.
    Figures,
    /// Everything else.
    Whole,
}

fn guard(path: &str) -> Guard {
    match path {
        "/healthz" | "/readyz" | "/hooks/git" => Guard::None,
        "/" | "/login" => Guard::Door,
        "/metrics" => Guard::Figures,
        path if path.starts_with("/assets/") => Guard::None,
        _ => Guard::Whole,
    }
}

/// Whether an answer is read by a program rather than by a person.
pub(super) fn is_for_program(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || matches!(path, "/metrics" | "/healthz" | "/readyz" | "/hooks/git")
}

/// Lets a request in, with who asks if that is known, or says why not.
pub(super) async fn let_in(
    auth: &Auth,
    peer: IpAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Visitor>, Refusal> {
    let guard = guard(uri.path());
    if guard == Guard::None || guard == Guard::Figures && auth.is_from_here(headers) {
        return Ok(None);
    }
    let visitor = match auth.who(peer, headers).await {
        Ok(visitor) => Some(visitor),
        Err(refusal) if guard == Guard::Door && refusal == Refusal::unknown_visitor() => None,
        Err(refusal) => return Err(refusal),
    };
    // A token is not sent by a browser on its own; everything else is, also when another site's page asks.
    let is_sent_by_itself = visitor.as_ref().is_none_or(|visitor| visitor.via != SignedInBy::Token);
    let changes_or_stays = !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    if is_sent_by_itself && changes_or_stays && !auth.is_from_us(headers) {
        return Err(Refusal::forbidden("another site's page asked for this; open AgentPod itself and ask there"));
    }
    if guard == Guard::Figures && visitor.as_ref().is_some_and(|visitor| !visitor.person.sees_all()) {
        return Err(Refusal::forbidden("these figures are about all tenants"));
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
            assert_eq!(guard(path), Guard::Whole, "{path}");
        }
    }
}
