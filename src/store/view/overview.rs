//! The overview: the fleet's counts, what needs attention, and what happened last.

use super::{ActingLine, EventQuery, HostLine, Overview, PhaseCount, PodColumn, PodLine, PodQuery, RoundLine, View};
use crate::{
    core::report::{phase::Phase, reason::Reason},
    store::{StoreError, error::Result, status::read_phase},
};

/// How many pods that need attention the overview lists.
const ATTENTION_LIMIT: u32 = 50;

impl View<'_> {
    /// The fleet's counts, what needs attention, and what happened last.
    pub async fn overview(&self) -> Result<Overview> {
        let phases = self.phases().await?;
        let held_removals = self.held_removals().await?;
        let all_attention: i64 =
            phases.iter().filter(|count| count.phase.needs_attention()).map(|count| count.pods).sum();
        let needs_attention_count = all_attention - held_removals.as_ref().map_or(0, |held| held.count);
        let events = self.events(&EventQuery { limit: 20, ..EventQuery::default() }).await?.items;
        let all = self.person.sees_all();
        let freshness = self.store.freshness().await?;
        Ok(Overview {
            pods: phases.iter().map(|count| count.pods).sum(),
            ready: phases.iter().map(|count| count.ready).sum(),
            phases,
            needs_attention_count,
            held_removals,
            needs_attention: self.needing_attention().await?,
            events,
            source: self.source().await?,
            rounds: if all { self.rounds(10).await? } else { Vec::new() },
            host: if all { self.host().await? } else { None },
            written_at: freshness.written_at,
            acting: self
                .store
                .leader()
                .await?
                .map(|leader| ActingLine { since: leader.since, process: Some(leader.process).filter(|_| all) }),
            ended_well: freshness.ended_well,
        })
    }

    /// How many pods are in each phase, and how many of them are ready.
    pub(super) async fn phases(&self) -> Result<Vec<PhaseCount>> {
        let statement = sqlx::query!(
            "SELECT coalesce(s.phase, 'Pending') AS \"phase!\", count(*) AS \"pods!\", count(*) FILTER \
             (WHERE s.ready) AS \"ready!\" FROM pods p LEFT JOIN pod_phases s ON s.pod_id = p.id \
             WHERE ($1::text IS NULL OR p.tenant_id = $1) AND (p.desired_status <> 'deleted' OR \
             s.container IS NOT NULL) GROUP BY 1 ORDER BY 1",
            self.only()
        );
        let rows = self.store.query("view_phases", statement.fetch_all(&self.store.pool)).await?;
        rows.into_iter()
            .map(|row| Ok(PhaseCount { phase: read_phase("", Some(&row.phase))?, pods: row.pods, ready: row.ready }))
            .collect()
    }

    /// The pods that need attention, longest first.
    async fn needing_attention(&self) -> Result<Vec<PodLine>> {
        let phases = Phase::all_that_need_attention().collect();
        let query = PodQuery {
            phases,
            not_reason: Some(Reason::TooManyRemovals),
            sort: PodColumn::Since,
            limit: ATTENTION_LIMIT,
            ..PodQuery::default()
        };
        Ok(self.pods(&query).await?.items)
    }

    async fn rounds(&self, limit: i64) -> Result<Vec<RoundLine>> {
        let statement = sqlx::query!(
            "SELECT id, began_at, milliseconds, trigger, actions, held, settled FROM rounds ORDER BY id DESC LIMIT $1",
            limit
        );
        let rows = self.store.query("view_rounds", statement.fetch_all(&self.store.pool)).await?;
        rows.into_iter()
            .map(|row| {
                let inconsistent_row = |error: serde_json::Error| {
                    StoreError::inconsistent("rounds", row.id.to_string(), error.to_string())
                };
                Ok(RoundLine {
                    actions: serde_json::from_value(row.actions).map_err(inconsistent_row)?,
                    id: row.id,
                    began_at: row.began_at,
                    milliseconds: row.milliseconds,
                    trigger: row.trigger,
                    held: row.held,
                    settled: row.settled,
                })
            })
            .collect()
    }

    async fn host(&self) -> Result<Option<HostLine>> {
        let statement = sqlx::query_as!(
            HostLine,
            "SELECT node, cpus, memory_mb, disk_mb, disk_free_mb, engine, measured_at, coalesce((SELECT \
             sum(memory_mb) FROM pod_usage_now), 0)::bigint AS \"pods_memory_mb!\", coalesce((SELECT \
             sum(cpu_percent) FROM pod_usage_now), 0)::real AS \"pods_cpu_percent!\", coalesce((SELECT \
             sum(d.memory_mb) FROM pod_desired d JOIN pods ON id = pod_id WHERE desired_status = \
             'running'), 0)::bigint AS \"pods_memory_limit_mb!\" FROM hosts \
             ORDER BY measured_at DESC LIMIT 1"
        );
        self.store.query("view_host", statement.fetch_optional(&self.store.pool)).await
    }
}
