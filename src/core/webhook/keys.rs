//! The webhook's secrets, and verification of deliveries against them. Every comparison takes constant time, and every
//! secret is tried each time; no secret can be read back from here.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::hmac::{self, HMAC_SHA256};
use time::OffsetDateTime;

use super::{Delivery, DeliveryRefused, MAX_CLOCK_SKEW};
use crate::core::digest::Digest;

/// The fewest characters a secret may have.
pub(crate) const MIN_CHARACTERS: usize = 16;
/// The most secrets there may be at a time.
pub(crate) const MAX_SECRETS: usize = 8;

/// Signatures are accepted with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets a delivery may be signed with; several while a secret is being rotated.
#[derive(Clone)]
pub struct WebhookKeys(Vec<WebhookKey>);

#[derive(Clone)]
struct WebhookKey {
    /// The key made of the secret's text.
    text: hmac::Key,
    /// The signature of the text own_tag, to compare tokens with.
    own_tag: hmac::Tag,
    /// The key after `whsec_`, as in GitLab's signing tokens.
    standard: Option<hmac::Key>,
}

/// What a valid signature says about its delivery.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The forge's ID of the delivery, signed or not.
    pub(crate) delivery: Option<String>,
    /// The digests that recognize a replay. Unless only a token was checked, they cover what is signed.
    pub(crate) marks: Vec<Digest>,
}

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKeys({})", self.0.len())
    }
}

impl WebhookKeys {
    /// Parses secrets, one per line.
    pub fn parse(text: &str) -> Result<Self, WebhookKeysError> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys: Vec<WebhookKey> = lines.map(|(at, line)| key(line, at + 1)).collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err(WebhookKeysError::Empty),
            count if count > MAX_SECRETS => Err(WebhookKeysError::TooMany(count)),
            _ => Ok(Self(keys)),
        }
    }

    /// Verifies that a delivery was signed with one of the secrets. Its first kind of signature decides: a wrong one is not
    /// made up for by a valid one of a weaker kind.
    pub(crate) fn verify(&self, delivery: &Delivery<'_>, now: OffsetDateTime) -> Result<Proof, DeliveryRefused> {
        let header = |name: &str| delivery.headers.get(name).copied();
        if let Some(signatures) = header("webhook-signature") {
            return self.verify_standard(delivery, signatures, now);
        }
        // Gitea also sends GitHub's header, and leaves the digest empty if it has no secret.
        let plain = header("x-forgejo-signature").or_else(|| header("x-gitea-signature"));
        // Bitbucket's header has GitHub's older name, under which GitHub sends SHA-1.
        let github = header("x-hub-signature-256");
        let bitbucket = || header("x-hub-signature").filter(|text| text.starts_with("sha256="));
        let prefixed = || github.or_else(bitbucket).map(|text| text.strip_prefix("sha256=").unwrap_or_default());
        if let Some(hex) = plain.or_else(prefixed) {
            let tag = hex::decode(hex).map_err(|_| DeliveryRefused::WrongSignature)?;
            self.any_key(|key| hmac::verify(&key.text, delivery.body, &tag).is_ok())?;
            let names =
                ["x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery", "x-request-uuid", "x-request-id"];
            let name = names.into_iter().find_map(header);
            // Only the body is signed, so a replay could use a new ID: the body's digest is a mark too.
            let marks = name.map(|name| Digest::of_bytes(format!("delivery {name}").as_bytes()));
            let marks = marks.into_iter().chain([Digest::of_bytes(delivery.body)]).collect();
            return Ok(Proof { delivery: name.map(str::to_owned), marks });
        }
        if let Some(authorization) = header("authorization").filter(|_| header("x-gitlab-token").is_none()) {
            let token = authorized(authorization).ok_or(DeliveryRefused::WrongSignature)?;
            self.any_key(|key| hmac::verify(&key.text, &token, key.own_tag.as_ref()).is_ok())?;
            // Azure's deliveries have their ID in the body.
            return Ok(Proof { delivery: None, marks: vec![Digest::of_bytes(delivery.body)] });
        }
        let token = header("x-gitlab-token").ok_or(DeliveryRefused::Unsigned)?;
        self.any_key(|key| hmac::verify(&key.text, token.as_bytes(), key.own_tag.as_ref()).is_ok())?;
        let name = header("x-gitlab-event-uuid");
        let marks = name.map(|name| Digest::of_bytes(format!("delivery {name}").as_bytes()));
        Ok(Proof { delivery: name.map(str::to_owned), marks: marks.into_iter().collect() })
    }

    fn verify_standard(
        &self,
        delivery: &Delivery<'_>,
        signatures: &str,
        now: OffsetDateTime,
    ) -> Result<Proof, DeliveryRefused> {
        let header = |name: &str| delivery.headers.get(name).copied().filter(|text| !text.is_empty());
        let (Some(id), Some(at)) = (header("webhook-id"), header("webhook-timestamp")) else {
            return Err(DeliveryRefused::WrongSignature);
        };
        let mut signed = format!("{id}.{at}.").into_bytes();
        signed.extend_from_slice(delivery.body);
        // Several, separated by spaces, while the forge rotates its own secret.
        let tags: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok())
            .take(MAX_SECRETS)
            .collect();
        self.any_key(|key| {
            let Some(key) = &key.standard else { return false };
            tags.iter().fold(false, |found, tag| found | hmac::verify(key, &signed, tag).is_ok())
        })?;
        let at = at.parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        if at.is_none_or(|at| (now - at).abs() > MAX_CLOCK_SKEW) {
            return Err(DeliveryRefused::NotFresh);
        }
        let mark = Digest::of_bytes(format!("delivery {id}").as_bytes());
        Ok(Proof { delivery: Some(id.to_owned()), marks: vec![mark] })
    }

    /// Tries every key, even after a match, for constant time.
    fn any_key(&self, matches: impl Fn(&WebhookKey) -> bool) -> Result<(), DeliveryRefused> {
        let found = self.0.iter().fold(false, |found, key| found | matches(key));
        if found { Ok(()) } else { Err(DeliveryRefused::WrongSignature) }
    }
}

/// The token of `Bearer`, or the password of `Basic`, whatever the user is called.
fn authorized(header: &str) -> Option<Vec<u8>> {
    let (scheme, value) = header.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.as_bytes().to_vec());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(value).ok())??;
    let at = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[at + 1..].to_vec())
}

/// Why the webhook's secrets cannot be used. No message quotes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookKeysError {
    /// There is no secret.
    #[error("it contains no secret; create one, for example with: openssl rand -hex 32")]
    Empty,
    /// There are this many secrets.
    #[error("it contains {0} secrets, more than {MAX_SECRETS}; remove the oldest")]
    TooMany(usize),
    /// The secret on this line could be guessed.
    #[error("line {0} has fewer than {MIN_CHARACTERS} characters; create a secret with: openssl rand -hex 32")]
    TooShort(usize),
    /// The signing token on this line is cut off or damaged.
    #[error("line {0} starts with whsec_ but is not a signing token; copy the whole token from the forge")]
    BadToken(usize),
}

fn key(line: &str, number: usize) -> Result<WebhookKey, WebhookKeysError> {
    if line.chars().count() < MIN_CHARACTERS {
        return Err(WebhookKeysError::TooShort(number));
    }
    let standard = match line.strip_prefix("whsec_") {
        None => None,
        Some(text) => {
            let bytes = BASE64.decode(text).ok().filter(|bytes| bytes.len() >= MIN_CHARACTERS);
            let bytes = bytes.ok_or(WebhookKeysError::BadToken(number))?;
            Some(hmac::Key::new(HMAC_SHA256, &bytes))
        }
    };
    let text = hmac::Key::new(HMAC_SHA256, line.as_bytes());
    let own_tag = hmac::sign(&text, line.as_bytes());
    Ok(WebhookKey { text, own_tag, standard })
}
