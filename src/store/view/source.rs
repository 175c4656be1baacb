//! The source: which revision was fetched, which is in force, which was carried out; and the adapters in force. For those
//! who see everybody's.

use serde_json::Value;
use sqlx::FromRow;
use time::OffsetDateTime;

use super::{AdapterLine, CommitLine, Page, RevisionLine, SourceLine, View, cursor};
use crate::{
    core::declare::adapter::{self, AdapterFiles},
    store::{RevisionRow, StoreError, error::Result, pods::pod_id},
};

const COLUMNS: &str = "SELECT id, hash, origin, state, commit_id, author, summary, committed_at, problems, fetched_at, accepted_at, \
                       applied_at FROM revisions";

#[derive(FromRow)]
struct SourceRow {
    id: i64,
    hash: String,
    origin: String,
    state: String,
    commit_id: Option<String>,
    author: Option<String>,
    summary: Option<String>,
    committed_at: Option<OffsetDateTime>,
    problems: Value,
    fetched_at: OffsetDateTime,
    accepted_at: Option<OffsetDateTime>,
    applied_at: Option<OffsetDateTime>,
}

impl View<'_> {
    /// What became of the source; not for a tenant's person.
    pub async fn source(&self) -> Result<Option<SourceLine>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let state = self.store.source_state().await?.filter(|state| state.stale_since.is_some());
        let untaken = self.store.source_refused().await?;
        Ok(Some(SourceLine {
            untaken_since: untaken.as_ref().map(|row| row.last_at),
            untaken_why: untaken.map(|row| row.event.message),
            stale_since: state.as_ref().and_then(|state| state.stale_since),
            read_at: state.as_ref().and_then(|state| state.read_at),
            stale_origin: state.as_ref().map(|state| state.origin.clone()),
            stale_why: state.and_then(|state| state.why),
            fetched: self.newest("true").await?,
            accepted: self.newest("state = 'accepted'").await?,
            applied: self.newest("applied_at IS NOT NULL").await?,
        }))
    }

    async fn newest(&self, which: &'static str) -> Result<Option<RevisionLine>> {
        let sql = format!("{COLUMNS} WHERE {which} ORDER BY id DESC LIMIT 1");
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql));
        let row: Option<SourceRow> = self.store.query("newest", sql.fetch_optional(&self.store.pool)).await?;
        row.map(line).transpose()
    }

    /// Revisions, newest first; not for a tenant's person.
    pub async fn revisions(&self, limit: u32, after: Option<&str>) -> Result<Option<Page<RevisionLine>>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let limit = cursor::limit(limit);
        let sql = format!("{COLUMNS} WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2");
        let after = after.and_then(cursor::read::<i64>);
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(after).bind(limit + 1);
        let mut rows: Vec<SourceRow> = self.store.query("revisions", sql.fetch_all(&self.store.pool)).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| cursor::written(&last.id));
        Ok(Some(Page { items: rows.into_iter().map(line).collect::<Result<_>>()?, next }))
    }

    /// One revision; not for a tenant's person.
    pub async fn revision(&self, id: i64) -> Result<Option<RevisionLine>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let sql = format!("{COLUMNS} WHERE id = $1");
        let sql = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id);
        let row: Option<SourceRow> = self.store.query("revision", sql.fetch_optional(&self.store.pool)).await?;
        row.map(line).transpose()
    }

    /// The adapters in force, in order; not for a tenant's person.
    pub async fn adapters(&self) -> Result<Option<Vec<AdapterLine>>> {
        if !self.person.sees_all() {
            return Ok(None);
        }
        let files = "SELECT folder, path, content FROM adapter_files WHERE adapters = \
                     (SELECT adapters FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT 1)";
        let pods = "SELECT adapter_id, id FROM pods WHERE desired_status <> 'deleted' ORDER BY id COLLATE \"C\"";
        let (files, pods) = (sqlx::query_as(files), sqlx::query_as(pods));
        let files: Vec<(String, String, Vec<u8>)> =
            self.store.query("adapters", files.fetch_all(&self.store.pool)).await?;
        let pods: Vec<(String, String)> = self.store.query("adapters", pods.fetch_all(&self.store.pool)).await?;
        let mut kept = AdapterFiles::default();
        for (folder, path, content) in files {
            let folder = if folder == "templates" { &mut kept.templates } else { &mut kept.adapters };
            folder.insert(path, content);
        }
        // They built once; one that this version of AgentPod cannot read any more is left out.
        let (adapters, _) = adapter::read(&kept);
        let line = |adapter: &adapter::Adapter| {
            let name = adapter.metadata.name.clone();
            let on_it = pods.iter().filter(|(kind, _)| kind == name.as_str()).map(|(_, key)| pod_id(key));
            Ok(AdapterLine {
                title: adapter.metadata.title.clone(),
                description: adapter.metadata.description.clone(),
                image: adapter.spec.image.clone(),
                port: adapter.spec.port,
                config_schema: adapter.config_schema.clone(),
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
            applied_at: row.applied_at,
        }
    }
}

fn line(row: SourceRow) -> Result<RevisionLine> {
    let damaged = |error: serde_json::Error| {
        StoreError::inconsistent("revisions", row.id.to_string(), format!("problems: {error}"))
    };
    let commit = match (row.commit_id, row.author, row.summary, row.committed_at) {
        (Some(id), Some(author), Some(summary), Some(committed_at)) => {
            Some(CommitLine { id, author, summary, committed_at })
        }
        _ => None,
    };
    Ok(RevisionLine {
        id: row.id,
        hash: row.hash,
        origin: row.origin,
        commit,
        state: row.state,
        problems: serde_json::from_value(row.problems).map_err(damaged)?,
        fetched_at: row.fetched_at,
        accepted_at: row.accepted_at,
        applied_at: row.applied_at,
    })
}
