//! The sync: writes what is declared to rows, in one transaction, and only where something differs. A pod that is no
//! longer declared is marked, never deleted: its token, its volume's name and its history are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Store, advisory,
    error::Result,
    events::{self, Event},
    json_without_nul,
    key::random_text,
    pods::{desired_status, pod_id, seed_context, token_context},
    without_nul,
};
use crate::core::{
    decide::difference::{self, Difference, RowChange, StoredPod},
    declare::{
        desired::{Desired, DesiredPod},
        desired_status::DesiredStatus,
    },
    digest::Digest,
    event::EventKind,
    names::PodId,
};

/// The lock of syncs: one at a time.
pub(super) const SYNC: &str = "agentpod sync";

/// What a sync wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncOutcome {
    /// Declared for the first time.
    pub created: Vec<PodId>,
    /// Declared differently from before.
    pub changed: Vec<PodId>,
    /// No longer declared.
    pub undeclared: Vec<PodId>,
    /// Declared again.
    pub returned: Vec<PodId>,
}

impl SyncOutcome {}

impl Store {
    /// Makes the rows of tenants and pods match what is declared. All of it, or nothing.
    pub async fn sync(&self, desired: &Desired, now: OffsetDateTime) -> Result<SyncOutcome> {
        self.run("sync", async {
            let mut transaction = self.begin().await?;
            // Two syncs at once would both insert the same pod.
            advisory::lock(&mut transaction, SYNC).await?;
            let outcome = self.sync_in(&mut transaction, desired, now).await?;
            transaction.commit().await?;
            Ok(outcome)
        })
        .await
    }

    async fn sync_in(
        &self,
        connection: &mut PgConnection,
        desired: &Desired,
        now: OffsetDateTime,
    ) -> Result<SyncOutcome> {
        sync_tenants(connection, desired, now).await?;
        let stored = stored_pods(connection).await?;
        let reconfigured = reconfigured(connection, desired).await?;
        let revision: Option<i64> = sqlx::query_scalar!("SELECT max(id) FROM revisions WHERE state = 'accepted'")
            .fetch_one(&mut *connection)
            .await?;
        let mut outcome = SyncOutcome::default();
        for Difference { id, change, message } in difference::differences(desired, &stored, &reconfigured) {
            let (kind, list) = match change {
                RowChange::Created(pod) => {
                    self.insert_pod(connection, pod, revision, now).await?;
                    (EventKind::Declared, &mut outcome.created)
                }
                RowChange::Changed(pod) => {
                    update_pod(connection, pod, revision, now).await?;
                    (EventKind::Changed, &mut outcome.changed)
                }
                RowChange::Returned(pod) => {
                    update_pod(connection, pod, revision, now).await?;
                    (EventKind::Returned, &mut outcome.returned)
                }
                RowChange::Undeclared => {
                    undeclare_pod(connection, &id, now).await?;
                    (EventKind::Undeclared, &mut outcome.undeclared)
                }
            };
            let event =
                Event { cause: Some("the source declares it".into()), revision, ..Event::of_pod(&id, kind, message) };
            events::record(connection, &event, now).await?;
            list.push(id);
        }
        Ok(outcome)
    }

    async fn insert_pod(
        &self,
        connection: &mut PgConnection,
        pod: &DesiredPod,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<()> {
        let id = &pod.declared.id;
        let key = id.key();
        let sealing_key = self.sealing_key(connection).await?;
        let token = sealing_key.seal(&random_text()?, &token_context(&key))?;
        let seed = sealing_key.seal(&random_text()?, &seed_context(&key))?;
        let blueprint = &pod.container.blueprint;
        sqlx::query!(
            "INSERT INTO pods (id, tenant_id, name, adapter_id, subdomain, url, desired_status, \
             gateway_token, token_version, volume, data_dir, digest, created_at, updated_at, \
             declared_revision, generated_seed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, \
             $14, $15)",
            &key,
            id.tenant.as_str(),
            id.pod.as_str(),
            pod.declared.adapter.metadata.name.as_str(),
            pod.declared.subdomain.as_str(),
            without_nul(&pod.url),
            DesiredStatus::from(pod.declared.state).as_str(),
            token,
            blueprint.token_version,
            &blueprint.volume,
            difference::data_dir(&blueprint.volume, pod),
            difference::known_digest(pod).map(Digest::as_str),
            now,
            revision,
            seed
        )
        .execute(&mut *connection)
        .await?;
        put_config(connection, pod, now).await
    }
}

async fn sync_tenants(connection: &mut PgConnection, desired: &Desired, now: OffsetDateTime) -> Result<()> {
    let rows = sqlx::query!("SELECT id, name, email FROM tenants").fetch_all(&mut *connection).await?;
    let stored: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, (row.name, row.email))).collect();
    for (id, tenant) in &desired.tenants {
        let name = without_nul(tenant.spec.display_name.as_deref().unwrap_or(id.as_str()));
        let email = tenant.spec.email.as_deref().map(without_nul);
        let new = (name, email);
        if stored.get(id.as_str()) == Some(&new) {
            continue;
        }
        sqlx::query!(
            "INSERT INTO tenants (id, name, email, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $4) ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = \
             excluded.email, updated_at = excluded.updated_at",
            id.as_str(),
            new.0,
            new.1,
            now
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn stored_pods(connection: &mut PgConnection) -> Result<BTreeMap<PodId, StoredPod>> {
    let query =
        sqlx::query!("SELECT id, adapter_id, subdomain, url, desired_status, volume, data_dir, digest FROM pods");
    let rows = query.fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let stored = StoredPod {
                adapter: row.adapter_id,
                subdomain: row.subdomain,
                url: row.url,
                desired_status: desired_status(&row.id, &row.desired_status)?,
                volume: row.volume,
                data_dir: row.data_dir,
                digest: row.digest.map(Digest::from_label),
            };
            Ok((pod_id(&row.id)?, stored))
        })
        .collect()
}

/// The pods whose settings differ from the stored ones. The database compares: its JSON numbers are not ours.
async fn reconfigured(connection: &mut PgConnection, desired: &Desired) -> Result<BTreeSet<PodId>> {
    let keys: Vec<String> = desired.pods.keys().map(PodId::key).collect();
    let configs: Vec<Value> = desired.pods.values().map(config).collect();
    let rows = sqlx::query!(
        "SELECT new.id AS \"id!\" FROM unnest($1::text[], $2::jsonb[]) AS new (id, config) LEFT JOIN \
         pod_configs ON pod_id = new.id WHERE pod_configs.config IS DISTINCT \
         FROM new.config",
        &keys,
        &configs
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| pod_id(&row.id)).collect()
}

async fn update_pod(
    connection: &mut PgConnection,
    pod: &DesiredPod,
    revision: Option<i64>,
    now: OffsetDateTime,
) -> Result<()> {
    // The volume keeps its name whatever the blueprint says; only its mount path may change.
    sqlx::query!(
        "UPDATE pods SET adapter_id = $2, subdomain = $3, url = $4, desired_status = $5, data_dir = \
         volume || ':' || $6, digest = coalesce($7, digest), undeclared_at = NULL, removal_allowed_at \
         = NULL, removal_revision = NULL, updated_at = $8, declared_revision = $9 \
         WHERE id = $1",
        pod.declared.id.key(),
        pod.declared.adapter.metadata.name.as_str(),
        pod.declared.subdomain.as_str(),
        without_nul(&pod.url),
        DesiredStatus::from(pod.declared.state).as_str(),
        &pod.container.blueprint.data,
        difference::known_digest(pod).map(Digest::as_str),
        now,
        revision
    )
    .execute(&mut *connection)
    .await?;
    put_config(connection, pod, now).await
}

async fn put_config(connection: &mut PgConnection, pod: &DesiredPod, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "INSERT INTO pod_configs (pod_id, config, updated_at) VALUES ($1, $2, $3) ON CONFLICT \
         (pod_id) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at \
         WHERE pod_configs.config IS DISTINCT FROM excluded.config",
        pod.declared.id.key(),
        config(pod),
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn undeclare_pod(connection: &mut PgConnection, id: &PodId, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE pods SET desired_status = 'deleted', undeclared_at = $2, updated_at = $2 WHERE id = $1",
        id.key(),
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn config(pod: &DesiredPod) -> Value {
    json_without_nul(&Value::Object(pod.declared.config.clone()))
}
