//! What pods use: the last day of one.

use sqlx::FromRow;
use time::OffsetDateTime;

use super::{UsageNow, UsagePoint, View};
use crate::{
    core::names::PodId,
    store::{error::Result, pods::pod_id},
};

#[derive(FromRow)]
struct UsageRow {
    at: OffsetDateTime,
    seconds: i32,
    memory_mb: i32,
    cpu_percent: f32,
    storage_mb: Option<i32>,
}

impl View<'_> {
    /// What a pod used over the last day, oldest first: spans of ten minutes, then of one.
    pub async fn usage(&self, id: &PodId) -> Result<Option<Vec<UsagePoint>>> {
        if self.lines(std::slice::from_ref(id)).await?.is_empty() {
            return Ok(None);
        }
        let sql = sqlx::query_as(
            "SELECT at, seconds, memory_mb, cpu_percent, storage_mb FROM pod_usage WHERE pod_id = $1 AND (seconds = 60 OR at < \
               coalesce((SELECT min(at) FROM pod_usage WHERE pod_id = $1 AND seconds = 60), 'infinity') - interval '10 minutes') \
             ORDER BY at, seconds DESC",
        )
        .bind(id.key());
        let rows: Vec<UsageRow> = self.store.query("usage", sql.fetch_all(&self.store.pool)).await?;
        let point = |row: UsageRow| UsagePoint {
            at: row.at,
            seconds: row.seconds,
            memory_mb: row.memory_mb,
            cpu_percent: row.cpu_percent,
            storage_mb: row.storage_mb,
        };
        Ok(Some(rows.into_iter().map(point).collect()))
    }

    /// What every pod used when last measured.
    pub async fn usage_now(&self) -> Result<Vec<UsageNow>> {
        let sql = sqlx::query_as(
            "SELECT u.pod_id, u.memory_mb, u.cpu_percent, u.storage_mb FROM pod_usage_now u JOIN pods p ON p.id = u.pod_id \
             WHERE $1::text IS NULL OR p.tenant_id = $1 ORDER BY u.pod_id COLLATE \"C\"",
        )
        .bind(self.only());
        let rows: Vec<(String, i32, f32, Option<i32>)> =
            self.store.query("usage_now", sql.fetch_all(&self.store.pool)).await?;
        let read = |(key, memory_mb, cpu_percent, storage_mb): (String, i32, f32, Option<i32>)| {
            Ok(UsageNow { id: pod_id(&key)?, memory_mb, cpu_percent, storage_mb })
        };
        rows.into_iter().map(read).collect()
    }
}
