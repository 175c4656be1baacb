//! Tenants, and how much of their quotas is used. Counted as quotas are checked: every declared pod, and memory
//! and CPU of those that should run.

use super::{QuotaLine, TenantLine, View};
use crate::{
    core::names::TenantName,
    store::{StoreError, error::Result},
};

impl View<'_> {
    /// The tenants that are declared or still have a pod, in order.
    pub async fn tenants(&self) -> Result<Vec<TenantLine>> {
        self.tenants_named(None).await
    }

    /// One of them.
    pub async fn tenant(&self, name: &TenantName) -> Result<Option<TenantLine>> {
        Ok(self.tenants_named(Some(name)).await?.pop())
    }

    async fn tenants_named(&self, name: Option<&TenantName>) -> Result<Vec<TenantLine>> {
        let statement = sqlx::query!(
            "SELECT t.id, t.name, t.email, t.quota_pods, t.quota_memory_mb, t.quota_milli_cpus, \
             count(p.id) FILTER (WHERE p.desired_status <> 'deleted') AS \"pods!\", \
             coalesce(sum(d.memory_mb) FILTER (WHERE p.desired_status = 'running'), 0)::bigint AS \
             \"memory_mb!\", coalesce(sum(d.milli_cpus) FILTER (WHERE p.desired_status = 'running'), \
             0)::bigint AS \"milli_cpus!\", count(*) FILTER (WHERE s.ready) AS \"ready!\", \
             coalesce(sum(u.memory_mb), 0)::bigint AS \"memory_used_mb!\", coalesce(sum(u.cpu_percent), \
             0)::real AS \"cpu_percent!\" FROM tenants t LEFT JOIN pods p ON p.tenant_id = t.id LEFT JOIN \
             pod_phases s ON s.pod_id = p.id LEFT JOIN pod_desired d ON d.pod_id = p.id LEFT JOIN \
             pod_usage_now u ON u.pod_id = p.id WHERE ($1::text IS NULL OR t.id = $1) AND ($2::text IS \
             NULL OR t.id = $2) GROUP BY t.id HAVING t.is_declared OR bool_or(p.desired_status <> \
             'deleted' OR s.container IS NOT NULL) ORDER BY t.id COLLATE \"C\"",
            self.only(),
            name.map(|name| name.as_str())
        );
        let rows = self.store.query("view_tenants", statement.fetch_all(&self.store.pool)).await?;
        rows.into_iter()
            .map(|row| {
                let inconsistent_row =
                    |_| StoreError::inconsistent("tenants", row.id.as_str(), "id is not a tenant's name");
                Ok(TenantLine {
                    name: row.id.parse().map_err(inconsistent_row)?,
                    display_name: row.name,
                    email: row.email,
                    pods: QuotaLine { taken: row.pods, most: row.quota_pods.map(i64::from) },
                    memory_mb: QuotaLine { taken: row.memory_mb, most: row.quota_memory_mb },
                    milli_cpus: QuotaLine { taken: row.milli_cpus, most: row.quota_milli_cpus },
                    ready: row.ready,
                    memory_used_mb: row.memory_used_mb,
                    cpu_percent: row.cpu_percent,
                })
            })
            .collect()
    }
}
