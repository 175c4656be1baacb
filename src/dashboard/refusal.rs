//! Why a request is not answered as wished, once for pages and API: a handler or filter says [`Refusal`], and the way
//! out makes it a page or a `problem+json` (RFC 9457), by what was asked for. It shows nothing a stranger may not read.

use std::fmt;

use serde_json::json;
use warp::{
    Rejection, Reply,
    http::{HeaderMap, StatusCode, header},
    reject::{self, Reject},
    reply::{self, Response},
};

use super::html;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What happened and what to do, as a sentence; never a secret.
    pub detail: String,
    /// After how many seconds trying again may help.
    pub retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// Nobody knows who asks. For a page this leads to the sign-in.
    pub fn unknown_visitor() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "sign in, or send an API token as Authorization: Bearer")
    }

    /// A token or the like that is not known (any more).
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Who asks is known, and may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// There is no such thing, or none that who asks may know of.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What was sent cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is wished does not go with what is.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// More was sent than is taken.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// Too often; again after so many seconds.
    pub fn too_often(detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// The database or something else is away just now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// What no one should see: the log says more.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong in AgentPod; its log says more")
    }

    /// A word or two for the status.
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// The answer for a program.
    fn problem(&self) -> Response {
        let (title, status) = (self.title(), self.status.as_u16());
        let body = json!({"type": "about:blank", "title": title, "status": status, "detail": self.detail});
        reply::with_header(reply::json(&body), header::CONTENT_TYPE, "application/problem+json").into_response()
    }

    /// The answer for a person.
    fn page(&self) -> Response {
        html::page(
            "refusal.html",
            json!({"title": self.title(), "status": self.status.as_u16(), "detail": self.detail}),
        )
    }

    /// The answer, as what was asked for would have it.
    pub(super) fn answer(&self, for_program: bool, headers: &HeaderMap) -> Response {
        let mut answer = if for_program { self.problem() } else { self.page() };
        *answer.status_mut() = self.status;
        // A 405 names what is allowed, and a cookie that is no use any more goes.
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
    /// An empty answer that carries the refusal; the way out writes it.
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
        tracing::warn!(code = error.code(), "a request could not be answered: {error}");
        if error.is_unreachable() {
            Self::unavailable("the database does not answer just now; try again in a few seconds")
        } else {
            Self::internal()
        }
    }
}

/// What every group of routes ends with: whatever was rejected becomes a refusal.
pub async fn recover(rejection: Rejection) -> Result<Response, Rejection> {
    Ok(from(&rejection).into_response())
}

fn from(rejection: &Rejection) -> Refusal {
    if let Some(refusal) = rejection.find::<Refusal>() {
        return refusal.clone();
    }
    if rejection.find::<reject::PayloadTooLarge>().is_some() {
        return Refusal::too_large("more was sent than is taken here");
    }
    if rejection.find::<reject::MethodNotAllowed>().is_some() {
        return Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this is not done by that method here");
    }
    if rejection.find::<reject::UnsupportedMediaType>().is_some() {
        return Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "what was sent is of a kind that is not read here");
    }
    if rejection.find::<reject::LengthRequired>().is_some() {
        return Refusal::new(StatusCode::LENGTH_REQUIRED, "say how long the body is: Content-Length");
    }
    let is_bad = rejection.find::<reject::InvalidQuery>().is_some()
        || rejection.find::<reject::MissingHeader>().is_some()
        || rejection.find::<reject::InvalidHeader>().is_some()
        || rejection.find::<warp::body::BodyDeserializeError>().is_some();
    if is_bad {
        return Refusal::bad_request("the request cannot be understood");
    }
    if rejection.is_not_found() {
        return Refusal::not_found("there is nothing at this address");
    }
    tracing::warn!("a request was rejected in a way that is not known: {rejection:?}");
    Refusal::internal()
}
