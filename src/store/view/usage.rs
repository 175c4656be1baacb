//! What pods used over the last day.

use super::{UsageNow, UsagePoint, View};
use crate::{
    core::names::{PodId, TenantName},
    store::{error::Result, pods::pod_id},
};

impl View<'_> {
    /// What a pod used over the last day, oldest first: ten-minute spans, then one-minute spans.
    pub async fn usage(&self, id: &PodId) -> Result<Option<Vec<UsagePoint>>> {
        if self.lines(std::slice::from_ref(id)).await?.is_empty() {
            return Ok(None);
        }
        let statement = sqlx::query_as!(
            UsagePoint,
            "SELECT at, seconds, memory_mb, cpu_percent, storage_mb FROM pod_usage \
             WHERE pod_id = $1 AND (seconds = 60 OR at < coalesce((SELECT min(at) \
             FROM pod_usage WHERE pod_id = $1 AND seconds = 60), 'infinity') - interval '10 minutes') \
             ORDER BY at, seconds DESC",
            id.key()
        );
        self.store.query("view_usage", statement.fetch_all(&self.store.pool)).await.map(Some)
    }

    /// What a tenant's pods used together over the last day, oldest first: ten-minute spans, then one-minute spans.
    pub(crate) async fn tenant_usage(&self, tenant: &TenantName) -> Result<Vec<UsagePoint>> {
        if !self.person.sees(tenant) {
            return Ok(Vec::new());
        }
        let statement = sqlx::query_as!(
            UsagePoint,
            "SELECT at, seconds, sum(memory_mb)::int AS \"memory_mb!\", sum(cpu_percent)::real AS \"cpu_percent!\", \
             sum(storage_mb)::int AS storage_mb FROM pod_usage JOIN pods ON pods.id = pod_id \
             WHERE tenant_id = $1 AND (seconds = 60 OR at < coalesce((SELECT min(at) FROM pod_usage WHERE seconds = 60), \
             'infinity') - interval '10 minutes') GROUP BY at, seconds ORDER BY at, seconds DESC",
            tenant.as_str()
        );
        self.store.query("view_tenant_usage", statement.fetch_all(&self.store.pool)).await
    }

    /// What every pod used when last measured.
    pub async fn usage_now(&self) -> Result<Vec<UsageNow>> {
        let statement = sqlx::query!(
            "SELECT u.pod_id, u.memory_mb, u.cpu_percent, u.storage_mb FROM pod_usage_now u JOIN pods p \
             ON p.id = u.pod_id WHERE $1::text IS NULL OR p.tenant_id = $1 \
             ORDER BY u.pod_id COLLATE \"C\"",
            self.only()
        );
        let rows = self.store.query("view_usage_now", statement.fetch_all(&self.store.pool)).await?;
        rows.into_iter()
            .map(|row| {
                Ok(UsageNow {
                    id: pod_id(&row.pod_id)?,
                    memory_mb: row.memory_mb,
                    cpu_percent: row.cpu_percent,
                    storage_mb: row.storage_mb,
                })
            })
            .collect()
    }
}
