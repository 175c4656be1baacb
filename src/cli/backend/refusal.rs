//! Errors of a server's API, with what to do about them. A server's text is sanitized and never trusted: it may not be an
//! AgentPod.

use std::error::Error;

use anyhow::{Result, anyhow};
use hyper::{StatusCode, header, http::response::Parts};
use serde::Deserialize;

use crate::{cli::output::sanitize, core::access::origin::Origin};

/// A server's refusal.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BackendError {
    /// The status, or `None` if the answer was not an AgentPod's.
    pub(crate) status: Option<StatusCode>,
    message: String,
}

/// The body of an error, as in RFC 9457.
#[derive(Deserialize)]
struct ErrorBody {
    detail: String,
}

impl BackendError {
    /// Turns an answer into an error.
    pub(crate) fn new(origin: &Origin, has_token: bool, head: &Parts, body: &[u8]) -> Self {
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(sanitize);
        let is_problem = header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
        let problem: Option<ErrorBody> = serde_json::from_slice(body).ok().filter(|_| is_problem);
        let Some(detail) = problem.map(|problem| sanitize(&problem.detail)) else {
            let message = match head.status {
                status if status.is_redirection() => format!(
                    "{origin} redirects to {}; give AgentPod's own address, since the token is not sent anywhere else",
                    header(header::LOCATION).unwrap_or_else(|| "another address".into())
                ),
                StatusCode::NOT_FOUND => format!("there is no AgentPod at {origin}: it has no /api/v1"),
                status => format!(
                    "{origin} answered {status}, but not as an AgentPod: check the address, and any proxy in between"
                ),
            };
            return Self { status: None, message };
        };
        let message = match head.status {
            StatusCode::UNAUTHORIZED if has_token => format!(
                "{origin} refused the token: {detail}. Create a token on that machine with: agentpod account token NAME"
            ),
            StatusCode::UNAUTHORIZED => format!(
                "{origin} needs an API token: give one as AGENTPOD_TOKEN or --token-file. Create one on that machine with: \
                 agentpod account token NAME"
            ),
            StatusCode::FORBIDDEN => format!("{detail}; use the token of an account that may do this"),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let after = header(header::RETRY_AFTER).map(|seconds| format!(" (try again in {seconds} s)"));
                format!("{detail}{}", after.unwrap_or_default())
            }
            _ => detail,
        };
        Self { status: Some(head.status), message }
    }

    /// The server closed a connection because the token is no longer valid.
    pub(crate) fn token_expired() -> Self {
        let message = "the server no longer accepts this token".into();
        Self { status: Some(StatusCode::UNAUTHORIZED), message }
    }

    /// Whether trying again later may help.
    pub(crate) fn is_temporary(&self) -> bool {
        match self.status {
            Some(status) => status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS,
            // Perhaps a proxy whose AgentPod is down.
            None => true,
        }
    }
}

/// Turns an AgentPod's 404 into `None`.
pub(crate) fn or_missing<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.downcast_ref::<BackendError>() {
            Some(refused) if refused.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The error for a server that cannot be reached, with the innermost cause.
pub(crate) fn unreachable(origin: &Origin, error: &(dyn Error + 'static)) -> anyhow::Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let cause = innermost.to_string();
    let advice = if cause.contains("certificate") {
        "if its certificate comes from your own authority, set SSL_CERT_FILE to that authority's file"
    } else {
        "check the address, and that AgentPod runs there"
    };
    anyhow!("{origin} cannot be reached: {cause}; {advice}")
}
