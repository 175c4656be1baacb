//! `POST /hooks/git`: receives a forge's deliveries and wakes the source. `core::webhook` decides what a delivery means;
//! this reads it (within limits of size, time and number) and answers. A sender who does not know a secret learns nothing
//! else.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::{info, warn};
use warp::{
    Filter, Rejection, Reply,
    http::{HeaderMap, Method, StatusCode, header},
    reply::{self, Response},
};

use crate::core::webhook::{self, Delivery, DeliveryOutcome, DeliveryRefused, RecentDeliveries, WebhookKeys};

/// The most bytes of a body. Larger pushes exist; they are found by polling.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many deliveries are read at a time.
const AT_ONCE: usize = 16;
/// How long after a refused delivery others are not logged.
const QUIET: Duration = Duration::from_secs(60);

/// How a delivery shows that it is genuine.
const UNDERSTOOD: &str = "this delivery does not show that it is genuine. Set the secret of --hook-secret-file in the forge: in \
    GitHub, Gitea, Forgejo and Bitbucket as the webhook's secret, in GitLab as its secret token or signing token, in Azure \
    DevOps as the password of basic authentication, with any user name, or in a header \"Authorization: Bearer SECRET\"; \
    AgentPod's log says what was wrong";

/// Called for a valid push; returns at once, and many calls may be merged into one read.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// The webhook.
pub struct Hooks {
    keys: WebhookKeys,
    followed: Option<String>,
    wake: Wake,
    turns: Semaphore,
    seen: Mutex<RecentDeliveries>,
    last_logged: Mutex<Option<Instant>>,
}

impl Hooks {
    /// A webhook that accepts `keys`, and calls `wake` for pushes to `followed`: a branch or tag, or anything.
    pub(crate) fn new(keys: WebhookKeys, followed: Option<String>, wake: Wake) -> Self {
        Self {
            keys,
            followed,
            wake,
            turns: Semaphore::new(AT_ONCE),
            seen: Mutex::default(),
            last_logged: Mutex::default(),
        }
    }

    async fn receive(&self, headers: HeaderMap, body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Response {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > MAX_BYTES as u64) {
            return too_large();
        }
        let Ok(_turn) = self.turns.try_acquire() else {
            return answer(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at a time; send it again later");
        };
        let body = match tokio::time::timeout(BODY_TIMEOUT, read(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(refusal)) => return refusal,
            Err(_) => return answer(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        };
        let known = webhook::HEADERS.into_iter().filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)));
        let delivery = Delivery { headers: known.collect(), body: &body };
        let decided = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            webhook::decide(&delivery, &self.keys, self.followed.as_deref(), &mut seen, crate::clock::now())
        };
        match decided {
            DeliveryOutcome::Accepted { reference, delivery } => {
                info!(reference, delivery, "webhook: {reference} was pushed");
                (self.wake)();
                respond(StatusCode::ACCEPTED, &json!({"accepted": true, "ref": reference}))
            }
            DeliveryOutcome::Ignored(why) => {
                respond(StatusCode::ACCEPTED, &json!({"accepted": false, "why": why.to_string()}))
            }
            DeliveryOutcome::Refused(why) => {
                self.log_refusal(why);
                match why {
                    DeliveryRefused::Unreadable => answer(StatusCode::BAD_REQUEST, &why.to_string()),
                    DeliveryRefused::Unsigned | DeliveryRefused::WrongSignature | DeliveryRefused::NotFresh => {
                        unauthorized()
                    }
                }
            }
        }
    }

    /// Logs that a delivery was refused, but does not let strangers fill the log.
    fn log_refusal(&self, why: DeliveryRefused) {
        let mut last_logged = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if last_logged.is_none_or(|last| last.elapsed() > QUIET) {
            *last_logged = Some(crate::clock::instant());
            warn!("webhook: a delivery was refused: {why} (further ones are not logged for a minute)");
        }
    }
}

/// The route; without a webhook it answers 404.
pub(crate) fn route(hooks: Option<Arc<Hooks>>) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("hooks" / "git").and(warp::method()).and(warp::header::headers_cloned()).and(warp::body::stream()).then(
        move |method: Method, headers, body| {
            let hooks = hooks.clone();
            async move {
                match hooks {
                    None => answer(StatusCode::NOT_FOUND, "no webhook is configured"),
                    Some(_) if method != Method::POST => {
                        let refusal = answer(StatusCode::METHOD_NOT_ALLOWED, "send deliveries by POST");
                        reply::with_header(refusal, header::ALLOW, "POST").into_response()
                    }
                    Some(hooks) => hooks.receive(headers, body).await,
                }
            }
        },
    )
}

async fn read(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, Response> {
    let mut bytes = Vec::new();
    tokio::pin!(body);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| answer(StatusCode::BAD_REQUEST, "the body was cut off"))?;
        if bytes.len() + part.remaining() > MAX_BYTES {
            return Err(too_large());
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            bytes.extend_from_slice(chunk);
            let length = chunk.len();
            part.advance(length);
        }
    }
    Ok(bytes)
}

fn too_large() -> Response {
    answer(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB; polling will find the push")
}

/// The same for every delivery that is not genuine: what AgentPod takes, and not what was wrong.
fn unauthorized() -> Response {
    let answer = respond(StatusCode::UNAUTHORIZED, &json!({"accepted": false, "why": UNDERSTOOD}));
    reply::with_header(answer, header::WWW_AUTHENTICATE, "Basic realm=\"agentpod\"").into_response()
}

fn answer(status: StatusCode, why: &str) -> Response {
    respond(status, &json!({"accepted": false, "why": why}))
}

fn respond(status: StatusCode, what: &Value) -> Response {
    reply::with_status(reply::json(what), status).into_response()
}

#[cfg(test)]
mod tests;
