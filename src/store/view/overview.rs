//! The fleet at a glance.

use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{ActingLine, EventQuery, HostLine, Overview, PhaseCount, RoundLine, TroubledPod, View};
use crate::{
    core::report::phase::Phase,
    store::{StoreError, error::Result, pods::pod_id, status::read_phase},
};

/// Pods that are not gone one tenant if `$1` names it.
const PODS: &str = "FROM pods p LEFT JOIN pod_phases s ON s.pod_id = p.id \
                    WHERE ($1::text IS NULL OR p.tenant_id = $1) AND (p.desired_status <> 'deleted' OR s.container IS NOT NULL)";
/// Those that are held or failing.
const TROUBLED: &str = "s.phase = ANY($2)";

#[derive(FromRow)]
struct RoundRow {
    id: i64,
    began_at: OffsetDateTime,
    milliseconds: i32,
    trigger: String,
    actions: Value,
    held: i32,
    settled: i32,
}

#[derive(FromRow)]
struct HostRow {
    node: String,
    cpus: i32,
    memory_mb: i64,
    disk_mb: Option<i64>,
    disk_free_mb: Option<i64>,
    engine: String,
    measured_at: OffsetDateTime,
    pods_memory_mb: i64,
    pods_memory_limit_mb: i64,
    pods_cpu_percent: f32,
}

impl View<'_> {
    /// The fleet at a glance.
    pub async fn glance(&self) -> Result<Overview> {
        let phases = self.phases().await?;
        let troubled = self.troubled().await?;
        let events = self.events(&EventQuery { limit: 20, ..EventQuery::default() }).await?.items;
        let all = self.person.sees_all();
        let freshness = self.store.freshness().await?;
        Ok(Overview {
            pods: phases.iter().map(|(count, _)| count.pods).sum(),
            ready: phases.iter().map(|(_, ready)| ready).sum(),
            phases: phases.into_iter().map(|(count, _)| count).collect(),
            troubled_count: troubled.first().map_or(0, |(_, count)| *count),
            troubled: troubled.into_iter().map(|(pod, _)| pod).collect(),
            events,
            source: self.source().await?,
            rounds: if all { self.rounds(10).await? } else { Vec::new() },
            host: if all { self.host().await? } else { None },
            written_at: freshness.written_at,
            acting: self.store.leader().await?.map(|leader| ActingLine { since: leader.since }),
            ended_well: freshness.ended_well,
        })
    }

    /// How many pods are in each phase, and how many of them are ready.
    pub(super) async fn phases(&self) -> Result<Vec<(PhaseCount, i64)>> {
        let sql = format!(
            "SELECT coalesce(s.phase, 'Pending') AS phase, count(*), count(*) FILTER (WHERE s.ready) {PODS} GROUP BY 1 ORDER BY 1"
        );
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(self.only());
        let rows: Vec<(String, i64, i64)> = self.store.query("phases", sql.fetch_all(&self.store.pool)).await?;
        let read = |(phase, pods, ready): (String, i64, i64)| {
            Ok((PhaseCount { phase: read_phase("", Some(&phase))?, pods }, ready))
        };
        rows.into_iter().map(read).collect()
    }

    async fn troubled(&self) -> Result<Vec<(TroubledPod, i64)>> {
        let sql = format!(
            "SELECT p.id, s.phase, s.reason, coalesce(s.message, ''), s.phase_since, count(*) OVER () {PODS} AND {TROUBLED} \
             ORDER BY s.phase_since, p.id LIMIT 50"
        );
        let phases: Vec<&str> = Phase::all_that_need_attention().map(Phase::as_str).collect();
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(self.only()).bind(phases);
        let rows: Vec<(String, String, String, String, OffsetDateTime, i64)> =
            self.store.query("troubled", sql.fetch_all(&self.store.pool)).await?;
        let read = |(key, phase, reason, message, since, count): (String, String, String, String, _, i64)| {
            let phase = read_phase(&key, Some(&phase))?;
            let reason = reason.parse().unwrap_or_default();
            Ok((TroubledPod { id: pod_id(&key)?, phase, reason, message, since }, count))
        };
        rows.into_iter().map(read).collect()
    }

    async fn rounds(&self, most: i64) -> Result<Vec<RoundLine>> {
        let sql = sqlx::query_as(
            "SELECT id, began_at, milliseconds, trigger, actions, held, settled FROM rounds ORDER BY id DESC LIMIT $1",
        )
        .bind(most);
        let rows: Vec<RoundRow> = self.store.query("rounds", sql.fetch_all(&self.store.pool)).await?;
        let read = |row: RoundRow| {
            let damaged =
                |error: serde_json::Error| StoreError::inconsistent("rounds", row.id.to_string(), error.to_string());
            Ok(RoundLine {
                actions: serde_json::from_value(row.actions).map_err(damaged)?,
                id: row.id,
                began_at: row.began_at,
                milliseconds: row.milliseconds,
                trigger: row.trigger,
                held: row.held,
                settled: row.settled,
            })
        };
        rows.into_iter().map(read).collect()
    }

    async fn host(&self) -> Result<Option<HostLine>> {
        let sql = sqlx::query_as(
            "SELECT h.*, coalesce((SELECT sum(memory_mb) FROM pod_usage_now), 0)::bigint AS pods_memory_mb, \
               coalesce((SELECT sum(cpu_percent) FROM pod_usage_now), 0)::real AS pods_cpu_percent, \
               coalesce((SELECT sum(memory_mb) FROM pod_desired JOIN pods ON id = pod_id WHERE desired_status = 'running'), 0)::bigint \
                 AS pods_memory_limit_mb \
             FROM hosts h ORDER BY measured_at DESC LIMIT 1",
        );
        let row: Option<HostRow> = self.store.query("host", sql.fetch_optional(&self.store.pool)).await?;
        Ok(row.map(|row| HostLine {
            node: row.node,
            cpus: row.cpus,
            memory_mb: row.memory_mb,
            pods_memory_mb: row.pods_memory_mb,
            pods_memory_limit_mb: row.pods_memory_limit_mb,
            pods_cpu_percent: row.pods_cpu_percent,
            disk_mb: row.disk_mb,
            disk_free_mb: row.disk_free_mb,
            engine: row.engine,
            measured_at: row.measured_at,
        }))
    }
}
