//! Decides what to do about a delivery to the webhook: fetch the source, ignore it or refuse it. It depends on nothing but
//! the headers, the body, the secrets and the time.
//!
//! A delivery only triggers a fetch from the configured remote, so a forged one gains nothing. Of its body only the names of
//! the pushed references are used.
//!
//! The forges' formats, from their documentation:
//! - GitHub (docs.github.com, "Validating webhook deliveries" and "Webhook events and payloads"): `X-Hub-Signature-256:
//!   sha256=<hex>` over the body, `X-GitHub-Event`, `X-GitHub-Delivery`; the body is JSON or the form field `payload`.
//! - Gitea (docs.gitea.com, "Webhooks") and Forgejo: `X-Gitea-Signature: <hex>` over the body (Forgejo: also
//!   `X-Forgejo-Signature`), with the same event headers as GitHub; JSON or form as well.
//! - GitLab (docs.gitlab.com, "Webhooks"; merge request 230944 of gitlab-org/gitlab): `X-Gitlab-Token` is the secret
//!   itself; a signing token instead gives `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64>` over
//!   `id.timestamp.body`, as standardwebhooks.com has it.
//! - Bitbucket (support.atlassian.com, "Event payloads" and "Manage webhooks"), Cloud and Data Center: `X-Hub-Signature:
//!   sha256=<hex>` over the body, `X-Event-Key`.
//! - Azure DevOps (learn.microsoft.com, "Web Hooks"): signs nothing; basic authentication with the secret as the password, or
//!   a header `Authorization: Bearer <secret>`.

mod keys;
mod push;
mod recent;

use std::{collections::BTreeMap, fmt};

use time::{Duration, OffsetDateTime};

pub use keys::WebhookKeys;
use push::parse;
pub use recent::RecentDeliveries;
use recent::Seen;

/// The headers that a decision needs, in lower case.
pub const HEADERS: [&str; 20] = [
    "authorization",
    "content-type",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-event-key",
    "x-forgejo-delivery",
    "x-forgejo-event",
    "x-forgejo-signature",
    "x-gitea-delivery",
    "x-gitea-event",
    "x-gitea-signature",
    "x-github-delivery",
    "x-github-event",
    "x-gitlab-event-uuid",
    "x-gitlab-token",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-request-id",
    "x-request-uuid",
];
/// How far a signed time may be from the clock.
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::minutes(5);
/// The most characters of a foreign text in a message.
const MAX_QUOTED: usize = 200;

/// One request to the webhook.
#[derive(Debug, Clone)]
pub struct Delivery<'a> {
    /// Those of [`HEADERS`] that it has.
    pub headers: BTreeMap<&'a str, &'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// What to do about a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Fetch the source.
    Accepted {
        /// The pushed reference, like `refs/heads/main`, cut to 200 characters.
        reference: String,
        /// The forge's ID of this delivery.
        delivery: Option<String>,
    },
    /// It is genuine, but there is nothing to do.
    Ignored(Ignored),
    /// It is not genuine, or not readable.
    Refused(DeliveryRefused),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// The forge tests the address.
    Ping,
    /// Another kind of event than a push.
    NotAPush(String),
    /// A push to a reference that the source does not follow.
    OtherReference(String),
    /// A replay of a recent delivery.
    Replay,
    /// More deliveries within an hour than are remembered.
    TooMany,
}

/// Why a delivery is refused. Only the log tells; the sender does not learn which of the first three it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRefused {
    /// It has no signature of a known forge.
    Unsigned,
    /// Its signature matches none of the secrets.
    WrongSignature,
    /// Its signed time is too far from the clock.
    NotFresh,
    /// Its signature is valid, but its body is not a forge's.
    Unreadable,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => f.write_str("a ping: the address and the secret are right"),
            Self::NotAPush(event) => write!(f, "not a push: {event:?}"),
            Self::OtherReference(reference) => write!(f, "a push to {reference:?}, which the source does not follow"),
            Self::Replay => f.write_str("this delivery was received before"),
            Self::TooMany => f.write_str("too many deliveries within an hour; polling will find the push"),
        }
    }
}

impl fmt::Display for DeliveryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "it has no signature or token; set one of the secrets in the forge's webhook",
            Self::WrongSignature => {
                "its signature or token matches none of the secrets; set the same secret in the forge and in AgentPod"
            }
            Self::NotFresh => {
                "its signed time is more than five minutes off; if it is not a replay, set this machine's clock"
            }
            Self::Unreadable => "its body is neither JSON nor a form with JSON in it",
        })
    }
}

/// Decides what to do about a delivery. `followed` is the source's branch or tag, by its short or full name; without one
/// every push counts.
pub fn decide(
    delivery: &Delivery<'_>,
    keys: &WebhookKeys,
    followed: Option<&str>,
    recent: &mut RecentDeliveries,
    now: OffsetDateTime,
) -> DeliveryOutcome {
    let proof = match keys.verify(delivery, now) {
        Ok(proof) => proof,
        Err(refused) => return DeliveryOutcome::Refused(refused),
    };
    let header = |name: &str| delivery.headers.get(name).copied();
    // GitLab's kind of event is read from the body, since its header is not signed.
    let event = ["x-forgejo-event", "x-gitea-event", "x-github-event", "x-event-key"].into_iter().find_map(header);
    if matches!(event, Some("ping" | "diagnostics:ping")) {
        return DeliveryOutcome::Ignored(Ignored::Ping);
    }
    if let Some(other) = event.filter(|event| !matches!(*event, "push" | "repo:push" | "repo:refs_changed")) {
        return DeliveryOutcome::Ignored(Ignored::NotAPush(quoted(other)));
    }
    let Some(push) = parse(delivery) else { return DeliveryOutcome::Refused(DeliveryRefused::Unreadable) };
    let references = match push.kind.as_deref() {
        None | Some("push" | "tag_push" | "git.push") if !push.references.is_empty() => push.references,
        kind => return DeliveryOutcome::Ignored(Ignored::NotAPush(quoted(kind.unwrap_or("something without a ref")))),
    };
    let Some(reference) = references.iter().find(|reference| is_followed(reference, followed)) else {
        return DeliveryOutcome::Ignored(Ignored::OtherReference(quoted(&references.join(", "))));
    };
    match recent.insert(&proof.marks, now) {
        Seen::Never => {}
        Seen::Before => return DeliveryOutcome::Ignored(Ignored::Replay),
        Seen::NoRoom => return DeliveryOutcome::Ignored(Ignored::TooMany),
    }
    DeliveryOutcome::Accepted { reference: quoted(reference), delivery: proof.delivery.map(|id| quoted(&id)) }
}

fn is_followed(reference: &str, followed: Option<&str>) -> bool {
    let Some(followed) = followed else { return true };
    let short = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/tags/"));
    reference == followed || short == Some(followed)
}

/// A foreign text, sanitized for one line.
fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
