//! Where a list continues: the sort key and the name of a page's last line. Opaque to clients, and not trusted: it is
//! only compared with.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A position in a sorted list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CursorPosition {
    /// The sort key, if it is a text.
    pub(crate) text: Option<String>,
    /// The sort key, if it is a number; as text, because a number may not survive JSON.
    pub(crate) number: Option<String>,
    /// Distinguishes lines with the same sort key.
    pub(crate) name: String,
}

/// The cursor as text that is safe in a URL.
pub(super) fn written(place: &impl Serialize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// Parses a cursor; `None` for anything else.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// The number of lines to read, within bounds.
pub(super) fn limit(requested: u32) -> i64 {
    match requested {
        0 => 100,
        some => i64::from(some.min(1000)),
    }
}
