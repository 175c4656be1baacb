//! Refusals, once for pages and API: a handler or filter returns a [`Refusal`], and the response becomes a page or a
//! `problem+json` (RFC 9457), as the client accepts. It shows nothing that a stranger may not read.

use std::fmt;

use serde_json::json;
use warp::{
    Rejection, Reply,
    http::{HeaderMap, StatusCode, header},
    reject::{self, Reject},
    reply::{self, Response},
};

use super::html;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// What happened and what to do, as a sentence; never a secret.
    pub(crate) detail: String,
    /// After how many seconds to try again.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// Nobody is signed in. On a page this leads to the sign-in.
    pub(crate) fn unknown_visitor() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "sign in, or send an API token as Authorization: Bearer")
    }

    /// An unknown or expired credential.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The visitor has no permission.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// It does not exist, or the visitor may not see it.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request is invalid.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// It conflicts with the current state.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// The body is too large.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// The database or something else does not answer.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// An internal error; the log says more.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal error occurred; AgentPod's log says more")
    }

    /// The status in one or two words.
    pub(crate) fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// The response for a program.
    fn problem(&self) -> Response {
        let (title, status) = (self.title(), self.status.as_u16());
        let body = json!({"type": "about:blank", "title": title, "status": status, "detail": self.detail});
        reply::with_header(reply::json(&body), header::CONTENT_TYPE, "application/problem+json").into_response()
    }

    /// The response for a person.
    fn page(&self) -> Response {
        html::page(
            "refusal.html",
            json!({"title": self.title(), "status": self.status.as_u16(), "detail": self.detail}),
        )
    }

    /// The response that the client accepts.
    pub(super) fn answer(&self, for_program: bool, headers: &HeaderMap) -> Response {
        let mut answer = if for_program { self.problem() } else { self.page() };
        *answer.status_mut() = self.status;
        // A 405 names the allowed methods, and an invalid cookie is removed.
        for (name, value) in headers.iter().filter(|(name, _)| **name == header::ALLOW || **name == header::SET_COOKIE)
        {
            answer.headers_mut().append(name, value.clone());
        }
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if for_program && self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Reject for Refusal {}

impl Reply for Refusal {
    /// An empty response that carries the refusal; `response` writes it.
    fn into_response(self) -> Response {
        let mut answer = self.status.into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<crate::store::AddRequestError> for Refusal {
    fn from(error: crate::store::AddRequestError) -> Self {
        match error {
            crate::store::AddRequestError::Refused(refusal) => Self::conflict(refusal.to_string()),
            crate::store::AddRequestError::Store(error) => error.into(),
        }
    }
}

impl From<crate::store::StoreError> for Refusal {
    fn from(error: crate::store::StoreError) -> Self {
        tracing::warn!(code = error.code(), "a request failed: {error}");
        if error.is_unreachable() {
            Self::unavailable("the database does not answer; try again in a few seconds")
        } else {
            Self::internal()
        }
    }
}

/// The end of every group of routes: a rejection becomes a refusal.
pub(crate) async fn recover(rejection: Rejection) -> Result<Response, Rejection> {
    Ok(from(&rejection).into_response())
}

fn from(rejection: &Rejection) -> Refusal {
    if let Some(refusal) = rejection.find::<Refusal>() {
        return refusal.clone();
    }
    if rejection.find::<reject::PayloadTooLarge>().is_some() {
        return Refusal::too_large("the body is too large");
    }
    if rejection.find::<reject::MethodNotAllowed>().is_some() {
        return Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here");
    }
    if rejection.find::<reject::UnsupportedMediaType>().is_some() {
        return Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this Content-Type is not supported here");
    }
    if rejection.find::<reject::LengthRequired>().is_some() {
        return Refusal::new(StatusCode::LENGTH_REQUIRED, "the request needs a Content-Length");
    }
    let is_bad = rejection.find::<reject::InvalidQuery>().is_some()
        || rejection.find::<reject::MissingHeader>().is_some()
        || rejection.find::<reject::InvalidHeader>().is_some()
        || rejection.find::<warp::body::BodyDeserializeError>().is_some();
    if is_bad {
        return Refusal::bad_request("the request is invalid");
    }
    if rejection.is_not_found() {
        return Refusal::not_found("there is nothing at this URL");
    }
    tracing::warn!("a request was rejected for an unknown reason: {rejection:?}");
    Refusal::internal()
}
