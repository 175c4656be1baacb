//! Whether the source is being read, as of the last time that this changed.

use time::OffsetDateTime;

use super::{Store, error::Result, storable};

/// What is known of the source's reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Where manifests come from.
    pub origin: String,
    /// When it was last read well, as of this change; `None`: never.
    pub read_at: Option<OffsetDateTime>,
    /// Since when it counts as stale; `None`: it is read.
    pub stale_since: Option<OffsetDateTime>,
    /// Why it could not be read last, if that is known.
    pub why: Option<String>,
}

impl Store {
    /// Whether the source is being read; `None` when that never changed.
    pub async fn source_state(&self) -> Result<Option<SourceState>> {
        let query = sqlx::query_as!(SourceState, "SELECT origin, read_at, stale_since, why FROM source_state");
        self.query("source_state", query.fetch_optional(&self.pool)).await
    }

    /// Keeps that the source became stale, or is read again.
    pub async fn set_source_state(&self, state: &SourceState, now: OffsetDateTime) -> Result<()> {
        let query = sqlx::query!(
            "INSERT INTO source_state (origin, read_at, stale_since, why, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT ((true)) DO UPDATE SET origin = excluded.origin, read_at = excluded.read_at, \
               stale_since = excluded.stale_since, why = excluded.why, changed_at = excluded.changed_at",
            storable(&state.origin),
            state.read_at,
            state.stale_since,
            state.why.as_deref().map(storable),
            now
        );
        self.query("set_source_state", query.execute(&self.pool)).await.map(drop)
    }
}
