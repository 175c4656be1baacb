//! How a response is written: as JSON, with an `ETag` so that a client that has it already gets 304.

use serde::Serialize;
use warp::{
    Reply,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::Refusal;
use crate::core::digest::Digest;

/// The media type of JSON responses.
pub(super) const JSON: &str = "application/json";
/// The media type of logs.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// Logs as one JSON object a line, for clients that accept it.
pub(super) const LINES: &str = "application/x-ndjson";

/// The JSON body of a value.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::warn!("a response could not be serialized: {error}");
        Refusal::internal()
    })
}

/// The response with its tag, or 304 if the client has it.
pub(super) fn tagged(headers: &HeaderMap, body: Vec<u8>) -> Response {
    let tag = format!("\"{}\"", &Digest::of_bytes(&body).as_str()[..32]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let is_known = known.flat_map(|known| known.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/") == tag
    });
    let mut answer = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    if !is_known {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    if let Ok(tag) = tag.parse() {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// Whether the client names this media type.
pub(super) fn wants(headers: &HeaderMap, kind: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted
        .flat_map(|accept| accept.split(','))
        .any(|one| one.split(';').next().is_some_and(|one| one.trim().eq_ignore_ascii_case(kind)))
}

/// Refuses a client that accepts none of the available media types.
pub(super) fn acceptable(headers: &HeaderMap, kind: &str) -> Result<(), Refusal> {
    let kind = kind.split(';').next().unwrap_or(kind);
    let group = kind.split('/').next().unwrap_or(kind);
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).peekable();
    if accepted.peek().is_none() {
        return Ok(());
    }
    let fits = |one: &str| {
        let mut parts = one.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        let group = format!("{group}/*");
        !is_refused
            && (range.is_empty()
                || range == "*/*"
                || range == "*"
                || [kind, &group].iter().any(|fit| range.eq_ignore_ascii_case(fit)))
    };
    if accepted.flat_map(|accept| accept.split(',')).any(fits) {
        return Ok(());
    }
    let detail = format!("this is available as {kind} only");
    Err(Refusal { status: StatusCode::NOT_ACCEPTABLE, detail, retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_client_that_has_the_answer_already_gets_304() {
        let first = tagged(&HeaderMap::new(), b"{}".to_vec());
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
            let answer = tagged(&headers(header::IF_NONE_MATCH, &known), b"{}".to_vec());
            assert_eq!(
                (answer.status(), answer.headers()[header::ETAG].to_str().unwrap()),
                (StatusCode::NOT_MODIFIED, &*tag)
            );
        }
        assert_eq!(tagged(&headers(header::IF_NONE_MATCH, &tag), b"[]".to_vec()).status(), StatusCode::OK);
    }

    #[test]
    fn who_wants_something_else_is_refused() {
        for good in ["*/*", "application/json", "text/html, application/*;q=0.5", "APPLICATION/JSON", ""] {
            assert!(acceptable(&headers(header::ACCEPT, good), JSON).is_ok(), "{good}");
        }
        for bad in ["text/html", "application/json;q=0", "application/xml, text/*"] {
            assert!(acceptable(&headers(header::ACCEPT, bad), JSON).is_err(), "{bad}");
        }
    }
}
