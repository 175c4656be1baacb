//! The webhook's secrets, and whether a delivery was made by somebody who knows one of them. Every comparison takes the
//! same time whatever it compares, and all secrets are tried each time; no secret can be read back from here.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::hmac::{self, HMAC_SHA256};
use time::OffsetDateTime;

use super::{Delivery, DeliveryRefused, FRESH};
use crate::core::digest::Digest;

/// The fewest characters a secret may have.
pub const LEAST_CHARACTERS: usize = 16;
/// The most secrets there may be at a time.
pub const MOST_SECRETS: usize = 8;

/// Signatures are believed with their padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets a delivery may be signed with; several while one is being exchanged for another.
#[derive(Clone)]
pub struct WebhookKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    /// The secret's text as the key.
    text: hmac::Key,
    /// What the text itself signs to: tells whether a token is the same text.
    itself: hmac::Tag,
    /// What stands behind `whsec_`, as GitLab's signing tokens have it.
    standard: Option<hmac::Key>,
}

/// What a good signature says about its delivery.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The forge's name for the delivery, signed or not.
    pub delivery: Option<String>,
    /// By which it is known again. What is signed is among them wherever anything but a token is.
    pub marks: Vec<Digest>,
}

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl WebhookKeys {
    /// Reads secrets, one a line. Says what is wrong with a line by its number, and nothing of what stands there.
    pub fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys: Vec<Key> = lines.map(|(at, line)| key(line, at + 1)).collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err("it holds no secret; put one there, made for example by: openssl rand -hex 32".into()),
            count if count > MOST_SECRETS => {
                Err(format!("it holds {count} secrets and may hold {MOST_SECRETS}; remove the oldest"))
            }
            _ => Ok(Self(keys)),
        }
    }

    /// Whether a delivery was made by somebody who knows a secret. The first kind of signature it carries decides: a bad
    /// one is not saved by a good one of a weaker kind.
    pub(crate) fn check(&self, delivery: &Delivery<'_>, now: OffsetDateTime) -> Result<Proof, DeliveryRefused> {
        let header = |name: &str| delivery.headers.get(name).copied();
        if let Some(signatures) = header("webhook-signature") {
            return self.check_standard(delivery, signatures, now);
        }
        // Gitea leaves the digest out when it has no secret, and GitHub's kind of header is among those it sends.
        let plain = header("x-forgejo-signature").or_else(|| header("x-gitea-signature"));
        let prefixed = || header("x-hub-signature-256").map(|text| text.strip_prefix("sha256=").unwrap_or_default());
        if let Some(hex) = plain.or_else(prefixed) {
            let tag = tag_from_hex(hex).ok_or(DeliveryRefused::WrongSignature)?;
            self.any(|key| hmac::verify(&key.text, delivery.body, &tag).is_ok())?;
            let name = ["x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery"].into_iter().find_map(header);
            // Only the body is signed: the delivery's name alone would make a replay a matter of inventing another.
            let marks = name.map(|name| Digest::of_bytes(format!("delivery {name}").as_bytes()));
            let marks = marks.into_iter().chain([Digest::of_bytes(delivery.body)]).collect();
            return Ok(Proof { delivery: name.map(str::to_owned), marks });
        }
        let token = header("x-gitlab-token").ok_or(DeliveryRefused::Unsigned)?;
        self.any(|key| hmac::verify(&key.text, token.as_bytes(), key.itself.as_ref()).is_ok())?;
        let name = header("x-gitlab-event-uuid");
        let marks = name.map(|name| Digest::of_bytes(format!("delivery {name}").as_bytes()));
        Ok(Proof { delivery: name.map(str::to_owned), marks: marks.into_iter().collect() })
    }

    fn check_standard(
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
        // Several, with spaces between, while the forge exchanges its own secret.
        let tags: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok())
            .take(MOST_SECRETS)
            .collect();
        self.any(|key| {
            let Some(key) = &key.standard else { return false };
            tags.iter().fold(false, |found, tag| found | hmac::verify(key, &signed, tag).is_ok())
        })?;
        let at = at.parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        if at.is_none_or(|at| (now - at).abs() > FRESH) {
            return Err(DeliveryRefused::NotFresh);
        }
        let mark = Digest::of_bytes(format!("delivery {id}").as_bytes());
        Ok(Proof { delivery: Some(id.to_owned()), marks: vec![mark] })
    }

    /// Tries every key, also after one that fits.
    fn any(&self, fits: impl Fn(&Key) -> bool) -> Result<(), DeliveryRefused> {
        let found = self.0.iter().fold(false, |found, key| found | fits(key));
        if found { Ok(()) } else { Err(DeliveryRefused::WrongSignature) }
    }
}

fn key(line: &str, number: usize) -> Result<Key, String> {
    if line.chars().count() < LEAST_CHARACTERS {
        return Err(format!(
            "its line {number} has fewer than {LEAST_CHARACTERS} characters and could be guessed; make one by: openssl rand -hex 32"
        ));
    }
    let standard = match line.strip_prefix("whsec_") {
        None => None,
        Some(text) => {
            let bytes = BASE64.decode(text).ok().filter(|bytes| bytes.len() >= LEAST_CHARACTERS);
            let bytes = bytes.ok_or_else(|| {
                format!("its line {number} begins with whsec_ and is no signing token; copy it whole from the forge")
            })?;
            Some(hmac::Key::new(HMAC_SHA256, &bytes))
        }
    };
    let text = hmac::Key::new(HMAC_SHA256, line.as_bytes());
    let itself = hmac::sign(&text, line.as_bytes());
    Ok(Key { text, itself, standard })
}

fn tag_from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    (pairs.len() == 32).then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
