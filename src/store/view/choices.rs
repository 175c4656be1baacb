//! What a list of pods can be narrowed to: the kinds of agents and the tenants that there are pods of.

use super::View;
use crate::store::error::Result;

/// What there are pods of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Kinds of agents.
    pub adapters: Vec<String>,
    /// Tenants.
    pub tenants: Vec<String>,
    /// How many pods there are in all.
    pub pods: i64,
}

impl View<'_> {
    /// What there are pods of, in order; of tenants at most `limit`, and none where there are more.
    pub async fn choices(&self, limit: usize) -> Result<Choices> {
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
        let pods = self.phases().await?.iter().map(|count| count.pods).sum();
        Ok(Choices { adapters, tenants, pods })
    }
}
