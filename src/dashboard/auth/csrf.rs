//! The CSRF token in every form: derived from the session ID, so that it is stored nowhere, and masked differently for each
//! page, so that compression does not leak it (BREACH).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

const LENGTH: usize = 32;

/// What a session's tokens are derived from.
#[derive(Clone)]
pub(crate) struct Seed([u8; LENGTH]);

impl Seed {
    /// The key of a session.
    pub(crate) fn of(session: &str) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes()), b"agentpod csrf");
        let mut seed = [0; LENGTH];
        seed.copy_from_slice(tag.as_ref());
        Self(seed)
    }

    /// A token; `None` if the system returns no random bytes.
    pub(crate) fn token(&self) -> Option<String> {
        let mut token = [0; 2 * LENGTH];
        let (pad, masked) = token.split_at_mut(LENGTH);
        SystemRandom::new().fill(pad).ok()?;
        for ((masked, pad), seed) in masked.iter_mut().zip(pad).zip(self.0) {
            *masked = *pad ^ seed;
        }
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether a token is valid; takes equally long for all tokens of the same length.
    pub(crate) fn matches(&self, token: &str) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else { return false };
        if token.len() != 2 * LENGTH {
            return false;
        }
        let (pad, masked) = token.split_at(LENGTH);
        let different =
            pad.iter().zip(masked).zip(self.0).fold(0, |all, ((pad, masked), seed)| all | (pad ^ masked ^ seed));
        std::hint::black_box(different) == 0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_another_each_time_and_good_for_its_session_only() {
        let seed = Seed::of("one");
        let (first, second) = (seed.token().unwrap(), seed.token().unwrap());
        assert_ne!(first, second);
        assert!(seed.matches(&first) && seed.matches(&second));
        assert!(!Seed::of("other").matches(&first));
        for bad in ["", "x", &first[..84], &format!("{first}AA"), &first.replace(&first[..4], "____")] {
            assert!(!seed.matches(bad), "{bad}");
        }
    }
}
