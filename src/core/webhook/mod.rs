//! What a delivery to the webhook is: a push that wakes the source, something to ignore, or nothing of ours. Decided
//! from its headers, its body, the secrets and the time alone.
//!
//! A delivery only ever wakes: what is fetched, and whether, is the source's business. So whoever could forge one would
//! gain one request to a server of our own choice, and a body is believed in nothing but the name of what was pushed.
//!
//! The forges' shapes, from their own documentation:
//! - GitHub (docs.github.com, "Validating webhook deliveries" and "Webhook events and payloads"): `X-Hub-Signature-256:
//!   sha256=<hex>` over the body, `X-GitHub-Event`, `X-GitHub-Delivery`; the body is JSON or the form field `payload`.
//! - Gitea (docs.gitea.com, "Webhooks") and Forgejo: `X-Gitea-Signature: <hex>` over the body (Forgejo: also
//!   `X-Forgejo-Signature`), beside headers shaped like GitHub's; JSON or form as well.
//! - GitLab (docs.gitlab.com, "Webhooks"; merge request 230944 of gitlab-org/gitlab): `X-Gitlab-Token` is the secret
//!   itself; a signing token instead gives `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64>` over
//!   `id.timestamp.body`, as standardwebhooks.com has it.

mod keys;
mod recent;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::Deserialize;
use time::{Duration, OffsetDateTime};

pub use keys::{LEAST_CHARACTERS, MOST_SECRETS, WebhookKeys};
pub use recent::{MOST_SEEN, RecentDeliveries, SEEN_FOR};

/// The headers a decision reads, in lower case; no other needs to be handed over.
pub const HEADERS: [&str; 15] = [
    "content-type",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
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
    "x-hub-signature-256",
];
/// How far a signed time may be from ours.
pub const FRESH: Duration = Duration::minutes(5);
/// The most characters of a reference that are shown.
const SHOWN: usize = 200;

/// One request to the webhook.
#[derive(Debug, Clone)]
pub struct Delivery<'a> {
    /// Those of [`HEADERS`] that it has, by name.
    pub headers: BTreeMap<&'a str, &'a str>,
    /// Its body, exactly as it came.
    pub body: &'a [u8],
}

/// What to do about a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Wake the source.
    Accepted {
        /// What was pushed: `refs/heads/main`. Long ones are cut.
        reference: String,
        /// The forge's name for this delivery.
        delivery: Option<String>,
    },
    /// It is from somebody who knows a secret, and nothing is to be done.
    Ignored(Ignored),
    /// It is not to be believed, or not to be understood.
    Refused(DeliveryRefused),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// The forge tries out the address.
    Ping,
    /// Another kind of event; which.
    NotAPush(String),
    /// A push to something we do not follow; to what.
    Elsewhere(String),
    /// It was here before.
    SeenBefore,
}

/// Why a delivery is refused. For our own log: the sender is not told which of the first three it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRefused {
    /// It carries no signature of any forge.
    Unsigned,
    /// Its signature fits none of the secrets.
    WrongSignature,
    /// Its signed time is too far from ours.
    NotFresh,
    /// It is signed, and its body is not what a forge sends.
    Unreadable,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => f.write_str("a ping: the address and the secret are right"),
            Self::NotAPush(event) => write!(f, "not a push but {event:?}"),
            Self::Elsewhere(reference) => write!(f, "a push to {reference:?}, which is not followed here"),
            Self::SeenBefore => f.write_str("this delivery was here before"),
        }
    }
}

impl fmt::Display for DeliveryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "it carries no signature; give the forge's webhook one of the secrets",
            Self::WrongSignature => "its signature fits none of the secrets; give the forge and AgentPod the same one",
            Self::NotFresh => {
                "its signed time is more than five minutes from ours; if it is no replay, set this machine's clock"
            }
            Self::Unreadable => "its body is neither JSON nor a form with JSON in it",
        })
    }
}

/// Decides. `followed` is the branch or tag of the source, by its short or full name; without one every push counts.
pub fn decide(
    delivery: &Delivery<'_>,
    keys: &WebhookKeys,
    followed: Option<&str>,
    seen: &mut RecentDeliveries,
    now: OffsetDateTime,
) -> DeliveryOutcome {
    let proof = match keys.check(delivery, now) {
        Ok(proof) => proof,
        Err(refused) => return DeliveryOutcome::Refused(refused),
    };
    let header = |name: &str| delivery.headers.get(name).copied();
    // GitLab's kind of event stands in the body, which is more than one unsigned header.
    let event = ["x-forgejo-event", "x-gitea-event", "x-github-event"].into_iter().find_map(header);
    if event == Some("ping") {
        return DeliveryOutcome::Ignored(Ignored::Ping);
    }
    if let Some(other) = event.filter(|event| *event != "push") {
        return DeliveryOutcome::Ignored(Ignored::NotAPush(shown(other)));
    }
    let Some(push) = read(delivery) else { return DeliveryOutcome::Refused(DeliveryRefused::Unreadable) };
    let kind = push.object_kind.or(push.event_name);
    let reference = match (kind.as_deref(), push.reference) {
        (None | Some("push" | "tag_push"), Some(reference)) => reference,
        (kind, _) => {
            return DeliveryOutcome::Ignored(Ignored::NotAPush(shown(kind.unwrap_or("something without a ref"))));
        }
    };
    if !is_followed(&reference, followed) {
        return DeliveryOutcome::Ignored(Ignored::Elsewhere(shown(&reference)));
    }
    if !seen.is_new(&proof.marks, now) {
        return DeliveryOutcome::Ignored(Ignored::SeenBefore);
    }
    DeliveryOutcome::Accepted { reference: shown(&reference), delivery: proof.delivery.map(|id| shown(&id)) }
}

fn is_followed(reference: &str, followed: Option<&str>) -> bool {
    let Some(followed) = followed else { return true };
    let short = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/tags/"));
    reference == followed || short == Some(followed)
}

/// What is read of a push; all else in it is passed over.
#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: Option<String>,
    object_kind: Option<String>,
    event_name: Option<String>,
}

fn read(delivery: &Delivery<'_>) -> Option<Push> {
    let kind = delivery.headers.get("content-type").copied().unwrap_or_default();
    let is_form = kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    let json = if is_form {
        let field = form_urlencoded::parse(delivery.body).find(|(name, _)| name == "payload");
        Cow::Owned(field?.1.into_owned().into_bytes())
    } else {
        Cow::Borrowed(delivery.body)
    };
    serde_json::from_slice(&json).ok()
}

/// A text from outside, fit for a line of ours.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
