//! The read model: what the reconciler stores for pages and API only: each pod's desired container, the last decision
//! about it, tenants' quotas, and the newest rounds. Written only where something differs.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Store,
    error::{Result, StoreError},
    json_without_nul,
    pods::pod_id,
    without_nul,
};
use crate::core::{
    declare::desired::Desired,
    names::PodId,
    report::view::{ActionLine, ContainerSummary, PlanLine},
};

/// How many container summaries of a pod are kept.
const SUMMARIES_KEPT: i64 = 5;
/// How many rounds are kept.
const ROUNDS_KEPT: i64 = 200;

/// A round that did something.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// When it began.
    pub began_at: OffsetDateTime,
    /// How long it took.
    pub took: std::time::Duration,
    /// What triggered it.
    pub trigger: String,
    /// What it did.
    pub actions: Vec<ActionLine>,
    /// How many pods it held.
    pub held: usize,
    /// How many were as declared.
    pub settled: usize,
}

impl Store {
    /// Stores the desired containers of declared pods, and the quotas of tenants. The pod's row must exist.
    pub async fn set_desired(&self, desired: &Desired, now: OffsetDateTime) -> Result<()> {
        self.run("set_desired", async {
            let mut transaction = self.begin().await?;
            set_summaries(&mut transaction, desired, now).await?;
            set_quotas(&mut transaction, desired).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// The stored decision about each pod.
    pub async fn plans(&self) -> Result<BTreeMap<PodId, PlanLine>> {
        let query = sqlx::query!("SELECT pod_id, plan FROM pod_plans");
        let rows = self.query("plans", query.fetch_all(&self.pool)).await?;
        rows.into_iter()
            .map(|row| {
                let inconsistent_row =
                    |error: serde_json::Error| StoreError::inconsistent("pod_plans", &row.pod_id, error.to_string());
                Ok((pod_id(&row.pod_id)?, serde_json::from_value(row.plan).map_err(inconsistent_row)?))
            })
            .collect()
    }

    /// Stores the decisions about some pods. Nothing is stored for a pod that was never declared.
    pub async fn set_plans(&self, plans: &[(PodId, PlanLine)], now: OffsetDateTime) -> Result<()> {
        let keys: Vec<String> = plans.iter().map(|(id, _)| id.key()).collect();
        let plans: Vec<Value> = plans.iter().map(|(_, plan)| json(plan)).collect::<Result<_>>()?;
        let query = sqlx::query!(
            "INSERT INTO pod_plans (pod_id, plan, updated_at) SELECT news.id, news.plan, $3 \
             FROM unnest($1::text[], $2::jsonb[]) AS news (id, plan) JOIN pods USING (id) \
             WHERE NOT EXISTS (SELECT FROM pod_plans old WHERE old.pod_id = news.id AND old.plan = news.plan) \
             ON CONFLICT (pod_id) DO UPDATE SET plan = excluded.plan, updated_at = excluded.updated_at",
            &keys,
            &plans,
            now
        );
        self.execute("set_plans", query).await.map(drop)
    }

    /// Stores a round, and deletes old ones.
    pub async fn add_round(&self, round: &Round) -> Result<()> {
        let query = sqlx::query!(
            "WITH kept AS (INSERT INTO rounds (began_at, milliseconds, trigger, actions, held, settled) \
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING id) \
             DELETE FROM rounds WHERE id <= (SELECT id FROM kept) - $7",
            round.began_at,
            i32::try_from(round.took.as_millis()).unwrap_or(i32::MAX),
            &round.trigger,
            json(&round.actions)?,
            count(round.held),
            count(round.settled),
            ROUNDS_KEPT
        );
        self.execute("add_round", query).await.map(drop)
    }
}

async fn set_summaries(connection: &mut PgConnection, desired: &Desired, now: OffsetDateTime) -> Result<()> {
    let pods = || desired.pods.values();
    let keys: Vec<String> = pods().map(|pod| pod.declared.id.key()).collect();
    let containers: Vec<&str> = pods().map(|pod| pod.container.name.as_str()).collect();
    let summaries: Vec<Value> = pods().map(|pod| json(&ContainerSummary::of(pod))).collect::<Result<_>>()?;
    sqlx::query!(
        "INSERT INTO pod_desired (pod_id, container, image, memory_mb, milli_cpus, hot, summary) \
         SELECT news.* FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], \
         $6::text[], $7::jsonb[]) AS news (pod_id, container, image, memory_mb, milli_cpus, hot, \
         summary) WHERE NOT EXISTS (SELECT FROM pod_desired old WHERE old.pod_id = news.pod_id AND \
         (old.container, old.image, old.memory_mb, old.milli_cpus, old.hot, old.summary) IS NOT \
         DISTINCT FROM (news.container, news.image, news.memory_mb, news.milli_cpus, news.hot, \
         news.summary)) ON CONFLICT (pod_id) DO UPDATE SET container = excluded.container, image = \
         excluded.image, memory_mb = excluded.memory_mb, milli_cpus = excluded.milli_cpus, hot = \
         excluded.hot, summary = excluded.summary",
        &keys,
        &containers as _,
        pods().map(|pod| without_nul(&pod.container.blueprint.image)).collect::<Vec<_>>() as _,
        pods().map(|pod| saturating_i32(pod.container.blueprint.memory >> 20)).collect::<Vec<_>>() as _,
        pods().map(|pod| saturating_i32(pod.container.blueprint.nano_cpus / 1_000_000)).collect::<Vec<_>>() as _,
        pods().map(|pod| pod.hot.as_ref().map(|hot| hot.as_str().to_owned())).collect::<Vec<_>>() as _,
        &summaries
    )
    .execute(&mut *connection)
    .await?;
    // A container that could not be rendered completely has no summary.
    let is_whole: Vec<bool> = pods().map(|pod| pod.missing_secrets.is_empty()).collect();
    let written = sqlx::query!(
        "INSERT INTO container_summaries (pod_id, container, summary, desired_at) SELECT pod, container, summary, $5 \
         FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::bool[]) AS news (pod, container, summary, is_whole) \
         WHERE is_whole AND NOT EXISTS (SELECT FROM container_summaries old WHERE old.pod_id = news.pod \
           AND old.container = news.container AND old.summary = news.summary) \
         ON CONFLICT (pod_id, container) DO UPDATE SET summary = excluded.summary, desired_at = excluded.desired_at",
        &keys,
        &containers as _,
        &summaries,
        &is_whole,
        now
    )
    .execute(&mut *connection)
    .await?;
    if written.rows_affected() > 0 {
        sqlx::query!(
            "DELETE FROM container_summaries WHERE (pod_id, container) IN (SELECT pod_id, container FROM \
               (SELECT pod_id, container, row_number() OVER (PARTITION BY pod_id ORDER BY desired_at DESC) AS place \
                FROM container_summaries WHERE pod_id = ANY($1)) AS placed WHERE place > $2) \
             AND container NOT IN (SELECT container FROM pod_phases WHERE container IS NOT NULL)",
            &keys,
            SUMMARIES_KEPT
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn set_quotas(connection: &mut PgConnection, desired: &Desired) -> Result<()> {
    let quotas = || desired.tenants.values().map(|tenant| tenant.spec.quota.unwrap_or_default());
    sqlx::query!(
        "UPDATE tenants SET is_declared = said.id IS NOT NULL, quota_pods = said.pods, \
         quota_memory_mb = said.memory, quota_milli_cpus = said.cpus FROM tenants AS all_of_them LEFT \
         JOIN unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS said (id, pods, memory, \
         cpus) ON said.id = all_of_them.id WHERE tenants.id = all_of_them.id AND \
         (tenants.is_declared, tenants.quota_pods, tenants.quota_memory_mb, tenants.quota_milli_cpus) \
         IS DISTINCT FROM (said.id IS NOT NULL, said.pods, said.memory, said.cpus)",
        desired.tenants.keys().map(|name| name.as_str()).collect::<Vec<_>>() as _,
        quotas().map(|quota| quota.pods.map(|pods| saturating_i32(pods.into()))).collect::<Vec<_>>() as _,
        quotas().map(|quota| quota.memory.map(|memory| i64::from(saturating_i32(memory.0 >> 20)))).collect::<Vec<_>>()
            as _,
        quotas().map(|quota| quota.cpus.map(|cpus| i64::from(saturating_i32(cpus.0 / 1_000_000)))).collect::<Vec<_>>()
            as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    let value = serde_json::to_value(value).map_err(|error| StoreError::Other(error.to_string()))?;
    Ok(json_without_nul(&value))
}

fn saturating_i32(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
