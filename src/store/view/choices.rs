//! What a list of pods can be filtered by: the adapters and the tenants of existing pods.

use super::View;
use crate::store::error::Result;

/// What a list of pods can be filtered by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    /// Adapters.
    pub(crate) adapters: Vec<String>,
    /// Tenants.
    pub(crate) tenants: Vec<String>,
    /// The number of pods.
    pub(crate) pods: i64,
    /// How many of them need attention.
    pub(crate) needs_attention: i64,
}

impl View<'_> {
    /// The filters, in order; at most `limit` tenants, and none if there are more.
    pub(crate) async fn choices(&self, limit: usize) -> Result<Choices> {
        let adapters = sqlx::query_scalar!(
            "SELECT DISTINCT adapter_id FROM pods WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY 1",
            self.only()
        );
        let tenants = sqlx::query_scalar!(
            "SELECT DISTINCT tenant_id FROM pods WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY 1 LIMIT $2",
            self.only(),
            limit as i64 + 1
        );
        let adapters = self.store.query("view_choices", adapters.fetch_all(&self.store.pool)).await?;
        let mut tenants = self.store.query("view_choices", tenants.fetch_all(&self.store.pool)).await?;
        if tenants.len() > limit {
            tenants.clear();
        }
        let phases = self.phases().await?;
        let pods = phases.iter().map(|count| count.pods).sum();
        let needs_attention = phases.iter().filter(|count| count.phase.needs_attention()).map(|count| count.pods).sum();
        Ok(Choices { adapters, tenants, pods, needs_attention })
    }
}
