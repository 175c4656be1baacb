//! The source: which revision was fetched, which is in force, which is synced; and the adapters in force. Only for
//! people who see all tenants.

use super::{AdapterLine, CommitLine, Page, RevisionLine, SourceLine, View, cursor};
use crate::{
    core::{
        declare::adapter,
        report::{health::FleetHealth, phase::Phase},
    },
    store::{RevisionRow, error::Result, pods::pod_id},
};

impl View<'_> {
    /// The state of the source; `None` for a tenant's person.
    pub async fn source(&self) -> Result<Option<SourceLine>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let state = self.store.source_state().await?.filter(|state| state.stale_since.is_some());
        let refusal = self.store.source_refusal().await?;
        let (phases, held) = (self.phases().await?, self.held_removals_count().await?);
        // Pods whose removal is held still serve, and belong to no revision in force.
        let counts = phases.iter().map(|count| match count.phase {
            Phase::Held => (count.phase, count.pods - held),
            phase => (phase, count.pods),
        });
        let counts: Vec<(Phase, i64)> = counts.collect();
        Ok(Some(SourceLine {
            unusable_since: refusal.as_ref().map(|refusal| refusal.since),
            unusable_why: refusal.map(|refusal| refusal.message),
            stale_since: state.as_ref().and_then(|state| state.stale_since),
            read_at: state.as_ref().and_then(|state| state.read_at),
            stale_origin: state.as_ref().map(|state| state.origin.clone()),
            stale_why: state.and_then(|state| state.why),
            health: FleetHealth::of(counts.iter().copied()),
            needs_attention: counts.iter().filter(|(phase, _)| phase.needs_attention()).map(|(_, pods)| pods).sum(),
            fetched: self.store.newest().await?.as_ref().map(RevisionLine::from),
            accepted: self.store.in_force().await?.as_ref().map(RevisionLine::from),
            synced: self.store.last_synced().await?.as_ref().map(RevisionLine::from),
        }))
    }

    /// Revisions, newest first; `None` for a tenant's person.
    pub async fn revisions(&self, limit: u32, after: Option<&str>) -> Result<Option<Page<RevisionLine>>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let limit = cursor::limit(limit);
        let mut rows = self.store.revisions(after.and_then(cursor::read::<i64>), limit + 1).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| cursor::written(&last.id));
        Ok(Some(Page { items: rows.iter().map(RevisionLine::from).collect(), next }))
    }

    /// One revision; `None` for a tenant's person.
    pub async fn revision(&self, id: i64) -> Result<Option<RevisionLine>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        Ok(self.store.revision(id).await?.as_ref().map(RevisionLine::from))
    }

    /// The adapters in force, in order; `None` for a tenant's person.
    pub async fn adapters(&self) -> Result<Option<Vec<AdapterLine>>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let pods = sqlx::query!(
            "SELECT adapter_id, id, s.container IS NOT NULL AS \"has_container!\" FROM pods LEFT JOIN pod_phases s \
                 ON s.pod_id = id WHERE desired_status <> 'deleted' ORDER BY id COLLATE \"C\""
        );
        let files = self.store.adapters_in_force().await?;
        let pods = self.store.query("view_adapters", pods.fetch_all(&self.store.pool)).await?;
        // They were valid when stored; one that this version of AgentPod can no longer read is left out.
        let (adapters, _) = adapter::read(&files);
        let line = |adapter: &adapter::Adapter| {
            let name = adapter.metadata.name.clone();
            let on_it = pods.iter().filter(|pod| pod.adapter_id == name.as_str()).map(|pod| pod_id(&pod.id));
            Ok(AdapterLine {
                title: adapter.metadata.title.clone(),
                description: adapter.metadata.description.clone(),
                image: adapter.spec.image.clone(),
                port: adapter.spec.port,
                config_schema: adapter.config_schema.clone(),
                secrets: adapter.spec.secrets.clone(),
                memory: adapter.spec.resources.memory.map(|memory| memory.to_string()),
                cpus: adapter.spec.resources.cpus.map(|cpus| cpus.to_string()),
                minimum_memory: adapter.spec.minimum.memory.map(|memory| memory.to_string()),
                health: adapter.spec.health.describe(),
                has_login: adapter.spec.login.is_some(),
                containers: pods.iter().filter(|pod| pod.adapter_id == name.as_str() && pod.has_container).count()
                    as i64,
                pods: on_it.take(1000).collect::<Result<_>>()?,
                name,
            })
        };
        adapters.all.values().map(|adapter| line(adapter)).collect::<Result<_>>().map(Some)
    }
}

impl From<&RevisionRow> for RevisionLine {
    fn from(row: &RevisionRow) -> Self {
        let commit = row.commit.clone().map(|commit| CommitLine {
            id: commit.id,
            author: commit.author,
            summary: commit.summary,
            committed_at: commit.committed_at,
        });
        Self {
            id: row.id,
            hash: row.hash.clone(),
            origin: row.origin.clone(),
            commit,
            state: if row.accepted_at.is_some() { "accepted".into() } else { "rejected".into() },
            problems: row.problems.clone(),
            fetched_at: row.fetched_at,
            accepted_at: row.accepted_at,
            synced_at: row.synced_at,
        }
    }
}
