//! What pods use: the latest measurement of each, and a day of them at falling resolution. The only thing that is written
//! while nothing changes; it touches no other table.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Store, error::Result, notifications::CHANGES, without_nul};
use crate::core::{names::PodId, observe::usage::Capacity};

/// A measurement of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The pod.
    pub pod: PodId,
    /// Memory in use, in MiB.
    pub memory_mb: i32,
    /// CPU usage in percent of one processor.
    pub cpu_percent: f32,
    /// MiB in its volume, if that was measured.
    pub storage_mb: Option<i32>,
}

impl Store {
    /// Stores a pass over all running pods. A pod that is not in `measured` does not run.
    pub async fn add_usage(&self, measured: &[Measured], now: OffsetDateTime) -> Result<()> {
        let keys: Vec<String> = measured.iter().map(|one| one.pod.key()).collect();
        let memory: Vec<i32> = measured.iter().map(|one| one.memory_mb).collect();
        let cpu: Vec<f32> = measured.iter().map(|one| one.cpu_percent).collect();
        let storage: Vec<Option<i32>> = measured.iter().map(|one| one.storage_mb).collect();
        self.run("add_usage", async {
            let mut transaction = self.begin().await?;
            sqlx::query!("DELETE FROM pod_usage_now WHERE pod_id <> ALL($1)", &keys).execute(&mut *transaction).await?;
            sqlx::query!(
                "INSERT INTO pod_usage_now (pod_id, at, memory_mb, cpu_percent, storage_mb) \
                 SELECT pods.id, $2, new.memory, new.cpu, new.storage FROM unnest($1::text[], $3::int[], \
                 $4::real[], $5::int[]) AS new (id, memory, cpu, storage) JOIN pods USING (id) ON CONFLICT \
                 (pod_id) DO UPDATE SET at = excluded.at, memory_mb = excluded.memory_mb, cpu_percent = \
                 excluded.cpu_percent, storage_mb = coalesce(excluded.storage_mb, pod_usage_now.storage_mb)",
                &keys,
                now,
                &memory,
                &cpu,
                storage as _
            )
            .execute(&mut *transaction)
            .await?;
            aggregate(&mut transaction, now).await?;
            sqlx::query!("SELECT pg_notify($1, 'usage')", CHANGES).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// Stores when pods' health probes last succeeded.
    pub(crate) async fn set_health(&self, successes: &[(PodId, OffsetDateTime)]) -> Result<()> {
        let query = sqlx::query!(
            "INSERT INTO pod_health (pod_id, last_health_at) SELECT pods.id, new.at \
             FROM unnest($1::text[], $2::timestamptz[]) AS new (id, at) JOIN pods USING (id) ON CONFLICT \
             (pod_id) DO UPDATE SET last_health_at = greatest(pod_health.last_health_at, \
             excluded.last_health_at)",
            successes.iter().map(|(pod, _)| pod.key()).collect::<Vec<_>>() as _,
            successes.iter().map(|(_, at)| *at).collect::<Vec<_>>() as _
        );
        self.execute("set_health", query).await.map(drop)
    }

    /// Stores the machine's resources.
    pub async fn set_host(&self, host: &Capacity, now: OffsetDateTime) -> Result<()> {
        let mebibytes = |bytes: u64| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
        let query = sqlx::query!(
            "INSERT INTO hosts (node, cpus, memory_mb, disk_mb, disk_free_mb, engine, measured_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (node) DO UPDATE \
             SET cpus = excluded.cpus, memory_mb = excluded.memory_mb, disk_mb = excluded.disk_mb, \
             disk_free_mb = excluded.disk_free_mb, engine = excluded.engine, measured_at = \
             excluded.measured_at",
            without_nul(&host.node),
            i32::try_from(host.cpus).unwrap_or(i32::MAX),
            mebibytes(host.memory),
            host.disk.map(|disk| mebibytes(disk.total)),
            host.disk.map(|disk| mebibytes(disk.free)),
            without_nul(&host.engine),
            now
        );
        self.execute("set_host", query).await.map(drop)
    }
}

/// Adds the measurements of `now` to the last day, at falling resolution, and deletes older ones.
async fn aggregate(connection: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "INSERT INTO pod_usage (pod_id, seconds, at, memory_mb, cpu_percent, storage_mb) \
         SELECT pod_id, 60, date_bin('1 minute', at, 'epoch'), memory_mb, cpu_percent, storage_mb \
         FROM pod_usage_now WHERE at = $1 ON CONFLICT (pod_id, seconds, at) DO UPDATE \
         SET memory_mb = excluded.memory_mb, cpu_percent = excluded.cpu_percent, storage_mb = \
         excluded.storage_mb",
        now
    )
    .execute(&mut *connection)
    .await?;
    // Ten-minute spans, once all their minutes are complete, including those that ended while no daemon ran. Each span is
    // computed once.
    sqlx::query!(
        "INSERT INTO pod_usage (pod_id, seconds, at, memory_mb, cpu_percent, storage_mb) \
         SELECT pod_id, 600, span, round(avg(memory_mb))::int, avg(cpu_percent)::real, max(storage_mb) FROM \
           (SELECT *, date_bin('10 minutes', at, 'epoch') AS span FROM pod_usage WHERE seconds = 60 \
              AND at < date_bin('10 minutes', $1, 'epoch') AND NOT EXISTS (SELECT FROM pod_usage WHERE seconds = 600 \
                AND at = date_bin('10 minutes', $1, 'epoch') - interval '10 minutes')) AS minutes \
         GROUP BY pod_id, span ON CONFLICT DO NOTHING",
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM pod_usage WHERE seconds = 60 AND at < $1::timestamptz - interval '2 hours' \
         OR seconds = 600 AND at < $1::timestamptz - interval '1 day'",
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}
