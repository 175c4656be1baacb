//! Whether the source is stale, as of the last time that this changed.

use time::OffsetDateTime;

use super::{Store, error::Result, without_nul};

/// Whether the source can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Where manifests come from.
    pub origin: String,
    /// When it was last read successfully, as of this change; `None`: never.
    pub read_at: Option<OffsetDateTime>,
    /// When it became stale; `None`: it is not.
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last, if that is known.
    pub why: Option<String>,
}

impl Store {
    /// Whether the source is stale; `None` if that never changed.
    pub async fn source_state(&self) -> Result<Option<SourceState>> {
        let query = sqlx::query_as!(SourceState, "SELECT origin, read_at, stale_since, why FROM source_state");
        self.query("source_state", query.fetch_optional(&self.pool)).await
    }

    /// Stores that the source became stale, or can be read again.
    pub async fn set_source_state(&self, state: &SourceState, now: OffsetDateTime) -> Result<()> {
        let query = sqlx::query!(
            "INSERT INTO source_state (origin, read_at, stale_since, why, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT ((true)) DO UPDATE SET origin = excluded.origin, read_at = excluded.read_at, \
               stale_since = excluded.stale_since, why = excluded.why, changed_at = excluded.changed_at",
            without_nul(&state.origin),
            state.read_at,
            state.stale_since,
            state.why.as_deref().map(without_nul),
            now
        );
        self.execute("set_source_state", query).await.map(drop)
    }
}
