//! The visitor, as handlers get it: [`visitor`] for reads, [`writer`] for writes. The gate has authenticated the visitor
//! before any route is matched, so a route that forgets to ask is closed all the same.

use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use warp::{
    Filter, Rejection,
    http::{HeaderMap, header},
};

use super::csrf;
use crate::{
    core::access::{Person, Role},
    dashboard::{get_or_head, refusal::Refusal},
};

/// The most bytes of a body.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The header with a page's CSRF token; a form has the field `csrf` for it.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The form field with the CSRF token.
pub const CSRF_FIELD: &str = "csrf";

/// An admitted visitor.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Whose request it is, and what they may do.
    pub person: Person,
    /// The CSRF token for every form of theirs (field `csrf`) and every script (`x-csrf-token`). Only with a session.
    /// Different for each request, valid for the whole session.
    pub csrf: Option<String>,
    /// How they authenticated.
    pub via: SignedInBy,
    pass: Credential,
}

/// A visitor's credential, to check it again.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// The session ID.
    Session(SecretString, csrf::Seed),
    /// An API token.
    Token(SecretString),
    /// None of their own.
    None,
}

/// How a visitor authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedInBy {
    /// By signing in; the browser sends a cookie.
    Session,
    /// By an API token.
    Token,
    /// A trusted proxy authenticated them.
    Proxy,
    /// Not at all: there are no accounts, and only this machine can connect.
    Loopback,
}

impl Visitor {
    /// A visitor without a credential. Tests of handlers put one into the request's extensions.
    pub(crate) fn new(person: Person, via: SignedInBy) -> Self {
        Self { person, csrf: None, via, pass: Credential::None }
    }

    /// A visitor with an API token.
    pub(super) fn by_token(person: Person, token: SecretString) -> Self {
        Self { person, csrf: None, via: SignedInBy::Token, pass: Credential::Token(token) }
    }

    /// A visitor with a session.
    pub(super) fn by_session(person: Person, id: SecretString) -> Result<Self, Refusal> {
        let seed = csrf::Seed::of(id.expose_secret());
        let token = seed.token().ok_or_else(Refusal::internal)?;
        Ok(Self { person, csrf: Some(token), via: SignedInBy::Session, pass: Credential::Session(id, seed) })
    }

    /// Their credential.
    pub(super) fn pass(&self) -> &Credential {
        &self.pass
    }

    /// Refuses unless `allowed`, as in `visitor.needs(visitor.person.sees_all())?`.
    pub fn needs(&self, allowed: bool) -> Result<(), Refusal> {
        if allowed {
            Ok(())
        } else {
            Err(Refusal::forbidden(format!("{} does not have permission for this", self.person.name)))
        }
    }
}

/// The body of a write.
#[derive(Debug, Clone)]
pub struct RequestBody {
    bytes: Bytes,
    is_form: bool,
}

impl RequestBody {
    /// The fields of a form, in order; none if it is not a form.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        if !self.is_form {
            return Vec::new();
        }
        form_urlencoded::parse(&self.bytes).into_owned().collect()
    }

    /// The first field of a form with this name.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The body as JSON; an empty one is `{}`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let bytes: &[u8] = if self.bytes.is_empty() { b"{}" } else { &self.bytes };
        // The parser's message quotes no values.
        serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("the body is invalid: {error}")))
    }
}

/// The visitor, for GET and HEAD. Put it after the path: `warp::path!("dashboard").and(visitor())`.
pub fn visitor() -> impl Filter<Extract = (Visitor,), Error = Rejection> + Clone + Send + Sync + 'static {
    get_or_head().and(known())
}

/// The visitor and the body, for writes: operators only, and with a session only with the CSRF token of our own page. The
/// handler checks whether they may act on the tenant.
pub fn writer() -> impl Filter<Extract = (Visitor, RequestBody), Error = Rejection> + Clone + Send + Sync + 'static {
    signed()
        .and_then(async |visitor: Visitor, sent: RequestBody| {
            if visitor.person.role < Role::Operator {
                return Err(Rejection::from(Refusal::forbidden(format!(
                    "{} is a viewer; only operators may do this",
                    visitor.person.name
                ))));
            }
            Ok((visitor, sent))
        })
        .untuple_one()
}

/// The same for what every role may do, like signing out.
pub(in crate::dashboard) fn signed()
-> impl Filter<Extract = (Visitor, RequestBody), Error = Rejection> + Clone + Send + Sync + 'static {
    known()
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and_then(async |visitor: Visitor, headers: HeaderMap, body| {
            let sent = read(&headers, body, MAX_BYTES).await?;
            if let Credential::Session(_, seed) = &visitor.pass {
                let token = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok().map(str::to_owned));
                let token = token.or_else(|| sent.field(CSRF_FIELD));
                if !token.is_some_and(|token| seed.matches(&token)) {
                    return Err(Rejection::from(Refusal::forbidden(
                        "the form's token is missing or from an earlier session; reload the page and try again",
                    )));
                }
            }
            Ok((visitor, sent))
        })
        .untuple_one()
}

fn known() -> impl Filter<Extract = (Visitor,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::ext::optional::<Visitor>()
        .and_then(async |visitor: Option<Visitor>| visitor.ok_or_else(|| Rejection::from(Refusal::unknown_visitor())))
}

/// Reads the body within limits of size and time.
pub(super) async fn read(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    most: usize,
) -> Result<RequestBody, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(body, most)).await;
    let bytes = bytes.map_err(|_| Refusal::bad_request("the body did not arrive in time"))??;
    Ok(RequestBody { bytes, is_form })
}

async fn collect(body: impl Stream<Item = Result<impl Buf, warp::Error>>, most: usize) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    tokio::pin!(body);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| Refusal::bad_request("the body was cut off"))?;
        if bytes.len() + part.remaining() > most {
            return Err(Refusal::too_large(format!("the body is larger than {most} bytes")));
        }
        while part.has_remaining() {
            let length = part.chunk().len();
            bytes.extend_from_slice(part.chunk());
            part.advance(length);
        }
    }
    Ok(bytes.into())
}
