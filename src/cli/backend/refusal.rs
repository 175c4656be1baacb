//! Why a server did not answer as wished, in sentences that say what to do. What a server says is shown as text and
//! never trusted: it may be no AgentPod at all.

use std::error::Error;

use anyhow::{Result, anyhow};
use hyper::{StatusCode, header, http::response::Parts};
use serde::Deserialize;

use crate::{cli::output::plain, core::access::origin::Origin};

/// A refusal in words.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct BackendError {
    /// What an AgentPod answered; `None` when it was something else that did.
    pub status: Option<StatusCode>,
    sentence: String,
}

/// What an AgentPod says.
#[derive(Deserialize)]
struct ErrorBody {
    detail: String,
}

impl BackendError {
    /// What such an answer means.
    pub fn of(origin: &Origin, has_token: bool, head: &Parts, body: &[u8]) -> Self {
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(plain);
        let is_problem = header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
        let problem: Option<ErrorBody> = serde_json::from_slice(body).ok().filter(|_| is_problem);
        let Some(detail) = problem.map(|problem| plain(&problem.detail)) else {
            let sentence = match head.status {
                status if status.is_redirection() => format!(
                    "{origin} sends us on to {}; name the address where AgentPod itself answers, the token goes nowhere else",
                    header(header::LOCATION).unwrap_or_else(|| "somewhere".into())
                ),
                StatusCode::NOT_FOUND => format!("there is no AgentPod at {origin}: it knows no /api/v1"),
                status => format!(
                    "{origin} answers {status}, and not in AgentPod's words: a proxy in between, or something else at this address"
                ),
            };
            return Self { status: None, sentence };
        };
        let sentence = match head.status {
            StatusCode::UNAUTHORIZED if has_token => format!(
                "{origin} does not take this token: {detail}. Whoever runs it makes one with: agentpod account token NAME"
            ),
            StatusCode::UNAUTHORIZED => format!(
                "{origin} wants to know who asks: give an API token as AGENTPOD_TOKEN or --token-file. Whoever runs it makes one \
                 with: agentpod account token NAME"
            ),
            StatusCode::FORBIDDEN => format!("{detail}; that takes the token of an account that may"),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let after = header(header::RETRY_AFTER).map(|seconds| format!(" (again in {seconds} s)"));
                format!("{detail}{}", after.unwrap_or_default())
            }
            _ => detail,
        };
        Self { status: Some(head.status), sentence }
    }

    /// That whoever asks was let in before and is not any more.
    pub fn out() -> Self {
        let sentence = "the server does not take this token any more".into();
        Self { status: Some(StatusCode::UNAUTHORIZED), sentence }
    }

    /// Whether trying again later may help.
    pub fn may_pass(&self) -> bool {
        match self.status {
            Some(status) => status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS,
            // A proxy whose AgentPod is just away.
            None => true,
        }
    }
}

/// Nothing, where an AgentPod says that there is nothing.
pub fn or_missing<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.downcast_ref::<BackendError>() {
            Some(refused) if refused.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            _ => Err(error),
        },
    }
}

/// That nobody answers at an address, with the innermost reason.
pub fn unreachable(origin: &Origin, error: &(dyn Error + 'static)) -> anyhow::Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let why = innermost.to_string();
    let advice = if why.contains("certificate") {
        "if its certificate is from an authority of your own, name that one's file in the variable SSL_CERT_FILE"
    } else {
        "is the address right, and AgentPod running there?"
    };
    anyhow!("{origin} cannot be reached: {why}; {advice}")
}
