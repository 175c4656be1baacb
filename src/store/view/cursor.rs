//! Where a list goes on: the sort key and the name of the last line of a page. Opaque to whoever hands it back, and not
//! trusted: it is only ever compared with.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A place in a sorted list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CursorPosition {
    /// The sort key, if that is a text.
    pub text: Option<String>,
    /// The sort key, if that is a number; as text, since a number read back may be another.
    pub number: Option<String>,
    /// Tells lines with the same key apart.
    pub name: String,
}

/// A place as text that survives in an address.
pub(super) fn written(place: &impl Serialize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// A place as it was written; `None` for anything else.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// How many lines are asked for reason.
pub(super) fn limit(asked: u32) -> i64 {
    match asked {
        0 => 100,
        some => i64::from(some.min(1000)),
    }
}
