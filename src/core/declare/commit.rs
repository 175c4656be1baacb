//! A commit, as shown to people. The source reads it from git.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The commit that a revision was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The full ID, in hexadecimal digits.
    pub id: String,
    /// The author, like `Name <address>`. Anybody can write anything here, unless commits are verified.
    pub author: String,
    /// The first line of the message.
    pub summary: String,
    /// The commit's time, by the committer's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub committed_at: OffsetDateTime,
}
