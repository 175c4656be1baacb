//! Texts from a commit, for people. Its author can write anything, so they are cut and have no control characters.

use git2::Signature;

/// The most characters of one text.
const MAX_CHARACTERS: usize = 200;

/// A person's name and address.
pub(super) fn person(signature: &Signature<'_>) -> String {
    format!("{} <{}>", plain(signature.name_bytes()), plain(signature.email_bytes()))
}

/// A text on one line.
pub(super) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(MAX_CHARACTERS).map(|c| if c.is_control() { '?' } else { c }).collect()
}
