//! Revisions: whole states of the source, accepted or rejected, with the commit they were read from if there is one.
//! The files of the last ones are kept, with those of the adapters they were checked with, so that the store alone is
//! enough to reconcile while the source is unreachable or the adapters are broken, and to show what is wrong with a
//! rejected one. Nothing is checked in here.

mod files;

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

pub use self::files::RevisionFiles;
use super::{
    Store, advisory,
    error::{Result, StoreError},
    json_without_nul, without_nul,
};
use crate::core::{
    declare::{adapter::AdapterFiles, commit::Commit},
    digest::Digest,
    problem::Problem,
};

/// A revision as it was read, before it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// The digest of the files' content.
    pub hash: &'a str,
    /// Where it comes from.
    pub origin: &'a str,
    /// The commit it was read from, if the source has commits.
    pub commit: Option<&'a Commit>,
    /// The files by path, relative to the source's root.
    pub files: &'a BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was read with.
    pub adapters: &'a AdapterFiles,
}

/// An accepted revision with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Ascends with time.
    pub id: i64,
    /// The digest of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// The newest commit with these files.
    pub commit: Option<Commit>,
    /// The files by path, relative to the source's root.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was accepted with; `None` for one from before they were stored.
    pub adapters: Option<AdapterFiles>,
    /// When it was accepted.
    pub accepted_at: OffsetDateTime,
}

/// A revision without its files.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisionRow {
    /// Ascends with time.
    pub id: i64,
    /// The digest of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// The newest commit with these files, if the source has commits.
    pub commit: Option<Commit>,
    /// What is wrong with it; empty for an accepted one.
    pub problems: Vec<Problem>,
    /// When it was fetched.
    pub fetched_at: OffsetDateTime,
    /// When it was accepted; `None` if it was rejected.
    pub accepted_at: Option<OffsetDateTime>,
    /// When every pod first matched it.
    pub synced_at: Option<OffsetDateTime>,
}

/// The row of a revision that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedRevision {
    /// Its id.
    pub id: i64,
    /// Whether the row is new, and not the same outcome for the same files once more.
    pub is_new: bool,
    /// When it was first fetched.
    pub fetched_at: OffsetDateTime,
}

struct StoredRevision {
    id: i64,
    hash: String,
    origin: String,
    commit_id: Option<String>,
    author: Option<String>,
    summary: Option<String>,
    committed_at: Option<OffsetDateTime>,
    adapters: Option<String>,
    problems: Value,
    fetched_at: OffsetDateTime,
    accepted_at: Option<OffsetDateTime>,
    synced_at: Option<OffsetDateTime>,
}

/// Selects revisions with the given rest of the statement.
macro_rules! select_revisions {
    ($rest:tt $(, $argument:expr)*) => {
        sqlx::query_as!(
            StoredRevision,
            "SELECT id, hash, origin, commit_id, author, summary, committed_at, adapters, problems, \
             fetched_at, accepted_at, synced_at FROM revisions " + $rest
            $(, $argument)*
        )
    };
}

impl Store {
    /// Stores a revision without problems, with its files and adapters. If the newest row says so already, that row gets
    /// the newest commit instead; other adapters make a new row.
    pub async fn accept(&self, fetched: &Fetched<'_>, now: OffsetDateTime) -> Result<RecordedRevision> {
        self.record_revision(fetched, None, now).await
    }

    /// Stores that a revision was rejected, and why. If the newest row says so already, that row gets the newest commit
    /// instead.
    pub async fn reject(
        &self,
        fetched: &Fetched<'_>,
        problems: &[Problem],
        now: OffsetDateTime,
    ) -> Result<RecordedRevision> {
        let problems = serde_json::to_value(problems).map_err(|error| StoreError::Other(error.to_string()))?;
        self.record_revision(fetched, Some(json_without_nul(&problems)), now).await
    }

    async fn record_revision(
        &self,
        fetched: &Fetched<'_>,
        problems: Option<Value>,
        now: OffsetDateTime,
    ) -> Result<RecordedRevision> {
        let digest = fetched.adapters.digest();
        self.run("record_revision", async {
            let mut transaction = self.begin().await?;
            let recorded = put(&mut transaction, fetched, &digest, problems, now).await?;
            if recorded.is_new {
                files::keep(&mut transaction, recorded.id, fetched.files, &digest, fetched.adapters).await?;
            }
            transaction.commit().await?;
            Ok(recorded)
        })
        .await
    }

    /// The revision in force, if one was ever accepted.
    pub async fn last_accepted(&self) -> Result<Option<Revision>> {
        self.run("last_accepted", async {
            let mut transaction = self.pool.begin().await?;
            let query = select_revisions!("WHERE state = 'accepted' ORDER BY id DESC LIMIT 1");
            let row = query.fetch_optional(&mut *transaction).await?;
            let Some(row) = row else { return Ok(None) };
            let RevisionFiles { manifests, adapters } =
                files::of(&mut transaction, row.id, row.adapters.as_deref()).await?;
            let RevisionRow { id, hash, origin, commit, accepted_at, fetched_at, .. } = RevisionRow::try_from(row)?;
            let accepted_at = accepted_at.unwrap_or(fetched_at);
            Ok(Some(Revision { id, hash, origin, commit, files: manifests, adapters, accepted_at }))
        })
        .await
    }

    /// The files of a revision, and its adapters'; `None` if there is no such revision, or its files are no longer
    /// kept.
    pub async fn files_of(&self, revision: i64) -> Result<Option<RevisionFiles>> {
        self.run("files_of", async {
            let mut transaction = self.pool.begin().await?;
            let query = sqlx::query_scalar!("SELECT adapters FROM revisions WHERE id = $1", revision);
            let row = query.fetch_optional(&mut *transaction).await?;
            let Some(adapters) = row else { return Ok(None) };
            let files = files::of(&mut transaction, revision, adapters.as_deref()).await?;
            Ok(Some(files).filter(|files| !files.manifests.is_empty()))
        })
        .await
    }

    /// The adapters of the revision in force.
    pub(super) async fn adapters_in_force(&self) -> Result<AdapterFiles> {
        self.run("adapters_in_force", async {
            let mut connection = self.pool.acquire().await?;
            let query =
                sqlx::query_scalar!("SELECT adapters FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT 1");
            match query.fetch_optional(&mut *connection).await?.flatten() {
                Some(digest) => files::adapters_of(&mut connection, &digest).await,
                None => Ok(AdapterFiles::default()),
            }
        })
        .await
    }

    /// The newest revision, accepted or rejected.
    pub async fn newest(&self) -> Result<Option<RevisionRow>> {
        let query = select_revisions!("ORDER BY id DESC LIMIT 1");
        self.one_revision(query.fetch_optional(&self.pool)).await
    }

    /// The revision in force: the newest accepted one.
    pub async fn in_force(&self) -> Result<Option<RevisionRow>> {
        let query = select_revisions!("WHERE state = 'accepted' ORDER BY id DESC LIMIT 1");
        self.one_revision(query.fetch_optional(&self.pool)).await
    }

    /// The newest revision that every pod has matched.
    pub(super) async fn last_synced(&self) -> Result<Option<RevisionRow>> {
        let query = select_revisions!("WHERE synced_at IS NOT NULL ORDER BY id DESC LIMIT 1");
        self.one_revision(query.fetch_optional(&self.pool)).await
    }

    /// The accepted revision before another one.
    pub async fn accepted_before(&self, id: i64) -> Result<Option<RevisionRow>> {
        let query = select_revisions!("WHERE state = 'accepted' AND id < $1 ORDER BY id DESC LIMIT 1", id);
        self.one_revision(query.fetch_optional(&self.pool)).await
    }

    /// One revision.
    pub async fn revision(&self, id: i64) -> Result<Option<RevisionRow>> {
        let query = select_revisions!("WHERE id = $1", id);
        self.one_revision(query.fetch_optional(&self.pool)).await
    }

    /// The newest `limit` revisions, or those before the one with the ID `before`; newest first.
    pub async fn revisions(&self, before: Option<i64>, limit: i64) -> Result<Vec<RevisionRow>> {
        let query = select_revisions!("WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2", before, limit);
        let rows = self.query("revisions", query.fetch_all(&self.pool)).await?;
        rows.into_iter().map(RevisionRow::try_from).collect()
    }

    async fn one_revision(
        &self,
        row: impl Future<Output = sqlx::Result<Option<StoredRevision>>>,
    ) -> Result<Option<RevisionRow>> {
        self.query("one_revision", row).await?.map(RevisionRow::try_from).transpose()
    }
}

/// Adds a row unless the newest one has the same outcome for the same files with the same adapters; that one is
/// updated instead: where they came from last, of which commit they are, and what is wrong with them now.
async fn put(
    connection: &mut PgConnection,
    fetched: &Fetched<'_>,
    adapters: &Digest,
    problems: Option<Value>,
    now: OffsetDateTime,
) -> Result<RecordedRevision> {
    advisory::lock(connection, "agentpod revisions").await?;
    let origin = without_nul(fetched.origin);
    let state = if problems.is_some() { "rejected" } else { "accepted" };
    let problems = problems.unwrap_or_else(|| Value::Array(Vec::new()));
    let commit = fetched
        .commit
        .map(|commit| (without_nul(&commit.id), without_nul(&commit.author), without_nul(&commit.summary)));
    let (commit_id, author, summary) =
        commit.map_or((None, None, None), |(id, author, summary)| (Some(id), Some(author), Some(summary)));
    let committed_at = fetched.commit.map(|commit| commit.committed_at);
    let newest = sqlx::query!(
        "SELECT id, fetched_at, (hash, state, adapters) IS NOT DISTINCT \
         FROM ($1, $2, $3) AS \"is_same!\" FROM revisions ORDER BY id DESC LIMIT 1",
        fetched.hash,
        state,
        adapters.as_str()
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(newest) = newest.filter(|newest| newest.is_same) {
        sqlx::query!(
            "UPDATE revisions SET origin = $2, problems = $3, commit_id = $4, author = $5, summary = $6, \
             committed_at = $7 WHERE id = $1 AND (origin, problems, commit_id, author, summary, \
             committed_at) IS DISTINCT FROM ($2, $3, $4, $5, $6, $7)",
            newest.id,
            origin,
            problems,
            commit_id,
            author,
            summary,
            committed_at
        )
        .execute(connection)
        .await?;
        return Ok(RecordedRevision { id: newest.id, is_new: false, fetched_at: newest.fetched_at });
    }
    let id = sqlx::query_scalar!(
        "INSERT INTO revisions (hash, origin, state, adapters, problems, fetched_at, accepted_at, \
         commit_id, author, summary, committed_at) VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $3 = \
         'accepted' THEN $6::timestamptz END, $7, $8, $9, $10) RETURNING id",
        fetched.hash,
        origin,
        state,
        adapters.as_str(),
        problems,
        now,
        commit_id,
        author,
        summary,
        committed_at
    )
    .fetch_one(connection)
    .await?;
    Ok(RecordedRevision { id, is_new: true, fetched_at: now })
}

impl TryFrom<StoredRevision> for RevisionRow {
    type Error = StoreError;
    fn try_from(row: StoredRevision) -> Result<Self> {
        let StoredRevision {
            id,
            hash,
            origin,
            commit_id,
            author,
            summary,
            committed_at,
            problems,
            fetched_at,
            accepted_at,
            synced_at,
            ..
        } = row;
        let problems = serde_json::from_value(problems);
        let problems = problems
            .map_err(|error| StoreError::inconsistent("revisions", id.to_string(), format!("problems: {error}")))?;
        let commit = match (commit_id, author, summary, committed_at) {
            (Some(id), Some(author), Some(summary), Some(committed_at)) => {
                Some(Commit { id, author, summary, committed_at })
            }
            _ => None,
        };
        Ok(Self { id, hash, origin, commit, problems, fetched_at, accepted_at, synced_at })
    }
}
