//! A commit, as people are told of it. Pure data; who reads it from git is the source's business.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Which commit a revision was read from, and who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its full id, in hexadecimal digits.
    pub id: String,
    /// Who wrote it: `Name <address>`, as the commit says; anybody can write anything here unless commits are verified.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
    /// When it was committed, by its committer's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub committed_at: OffsetDateTime,
}

impl Commit {
    /// The first digits of its id, enough for people.
    pub fn short(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}
