//! Who asks, as handlers get it: [`visitor`] for what only looks, [`writer`] for what changes something. The gate has found
//! out who it is before any route was looked at, so a route that forgets to ask is closed all the same.

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

/// The most bytes that a write may send.
pub const MOST_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The header that carries the token that a page was given; a form has the field `csrf` for it.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The form field that carries it.
pub const CSRF_FIELD: &str = "csrf";

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who.
    pub person: Person,
    /// What every form of theirs must carry in its field `csrf`, and every script in `x-csrf-token`. There only for a
    /// session. Another text for each request, good for the whole session.
    pub csrf: Option<String>,
    /// How we know.
    pub via: SignedInBy,
    pass: Credential,
}

/// What somebody showed, to look at it again.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// The id of their session, and what its tokens are made of.
    Session(SecretString, csrf::Seed),
    /// An API token.
    Token(SecretString),
    /// Nothing of their own.
    None,
}

/// How somebody was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedInBy {
    /// They signed in; their browser sends a cookie.
    Session,
    /// They sent an API token.
    Token,
    /// A trusted proxy vouches for them.
    Proxy,
    /// Nobody has to sign in: there are no accounts, and only this machine can ask.
    Loopback,
}

impl Visitor {
    /// Somebody who showed nothing of their own. Tests of handlers put one into the request's extensions.
    pub fn new(person: Person, via: SignedInBy) -> Self {
        Self { person, csrf: None, via, pass: Credential::None }
    }

    /// Somebody whose program sent an API token.
    pub(super) fn by_token(person: Person, token: SecretString) -> Self {
        Self { person, csrf: None, via: SignedInBy::Token, pass: Credential::Token(token) }
    }

    /// Somebody whose browser sent the id of their session.
    pub(super) fn by_session(person: Person, id: SecretString) -> Result<Self, Refusal> {
        let seed = csrf::Seed::of(id.expose_secret());
        let token = seed.token().ok_or_else(Refusal::internal)?;
        Ok(Self { person, csrf: Some(token), via: SignedInBy::Session, pass: Credential::Session(id, seed) })
    }

    /// What they showed.
    pub(super) fn pass(&self) -> &Credential {
        &self.pass
    }

    /// Refuses unless `allowed`, as in `visitor.needs(visitor.person.sees_all())?`.
    pub fn needs(&self, allowed: bool) -> Result<(), Refusal> {
        if allowed { Ok(()) } else { Err(Refusal::forbidden(format!("{} may not do or see this", self.person.name))) }
    }
}

/// What a write sent.
#[derive(Debug, Clone)]
pub struct RequestBody {
    bytes: Bytes,
    is_form: bool,
}

impl RequestBody {
    /// The fields of a form, in order; none if it is none.
    pub fn fields(&self) -> Vec<(String, String)> {
        if !self.is_form {
            return Vec::new();
        }
        form_urlencoded::parse(&self.bytes).into_owned().collect()
    }

    /// The first field of a form with this name.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// Whether it came from a form of a page, so that the answer is a redirect.
    pub fn is_form(&self) -> bool {
        self.is_form
    }

    /// The body as JSON; an empty one is `{}`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let bytes: &[u8] = if self.bytes.is_empty() { b"{}" } else { &self.bytes };
        // The parser's message quotes no values beyond their kind and place.
        serde_json::from_slice(bytes)
            .map_err(|error| Refusal::bad_request(format!("the body is not as it should be: {error}")))
    }
}

/// Who asks, for GET and HEAD. Put it behind the path: `warp::path!("dashboard").and(visitor())`.
pub fn visitor() -> impl Filter<Extract = (Visitor,), Error = Rejection> + Clone + Send + Sync + 'static {
    get_or_head().and(known())
}

/// Who asks, and what they sent, for everything that changes something: operators only, and by session only with the
/// token that our own page was given. Whether they may ask for this very tenant, the handler says.
pub fn writer() -> impl Filter<Extract = (Visitor, RequestBody), Error = Rejection> + Clone + Send + Sync + 'static {
    signed()
        .and_then(async |visitor: Visitor, sent: RequestBody| {
            if visitor.person.role < Role::Operator {
                return Err(Rejection::from(Refusal::forbidden(format!(
                    "{} is a viewer, and only an operator may do this",
                    visitor.person.name
                ))));
            }
            Ok((visitor, sent))
        })
        .untuple_one()
}

/// The same for what every role may do, as signing out.
pub(in crate::dashboard) fn signed()
-> impl Filter<Extract = (Visitor, RequestBody), Error = Rejection> + Clone + Send + Sync + 'static {
    known()
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and_then(async |visitor: Visitor, headers: HeaderMap, body| {
            let sent = read(&headers, body, MOST_BYTES).await?;
            if let Credential::Session(_, seed) = &visitor.pass {
                let token = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok().map(str::to_owned));
                let token = token.or_else(|| sent.field(CSRF_FIELD));
                if !token.is_some_and(|token| seed.matches(&token)) {
                    return Err(Rejection::from(Refusal::forbidden(
                        "this did not come from a page of yours, or the page is from before you signed in; load it anew and try again",
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

/// Reads what was sent, so much and so long.
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
    let bytes = tokio::time::timeout(BODY_TIME, collect(body, most)).await;
    let bytes = bytes.map_err(|_| Refusal::bad_request("the body did not arrive in time"))??;
    Ok(RequestBody { bytes, is_form })
}

async fn collect(body: impl Stream<Item = Result<impl Buf, warp::Error>>, most: usize) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    tokio::pin!(body);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| Refusal::bad_request("the body broke off"))?;
        if bytes.len() + part.remaining() > most {
            return Err(Refusal::too_large(format!("at most {most} bytes are taken here")));
        }
        while part.has_remaining() {
            let length = part.chunk().len();
            bytes.extend_from_slice(part.chunk());
            part.advance(length);
        }
    }
    Ok(bytes.into())
}
