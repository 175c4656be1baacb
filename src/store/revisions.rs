//! Revisions: whole states of the source, accepted or rejected. The files of the last accepted one are kept, and those
//! of the adapters it was accepted with, so that the store alone is enough to reconcile while the source is out of
//! reach or the adapters are broken. Nothing is judged in here.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::{
    PATIENCE, Store,
    error::{Result, StoreError},
    lock::lock_key,
    storable, storable_json, within,
};
use crate::core::{adapter::AdapterFiles, digest::Digest, problem::Problem};

/// How many accepted revisions keep their files.
const KEPT: i64 = 50;

/// An accepted revision, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Grows with time.
    pub id: i64,
    /// Of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// The files by path, relative to the source's root.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was accepted with; `None` for one from before they were kept.
    pub adapters: Option<AdapterFiles>,
    /// When it was accepted.
    pub accepted_at: OffsetDateTime,
}

/// A revision as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisionRow {
    /// Grows with time.
    pub id: i64,
    /// Of the files' content.
    pub hash: String,
    /// Where it came from.
    pub origin: String,
    /// What is wrong with it; empty for an accepted one.
    pub problems: Vec<Problem>,
    /// When it was fetched.
    pub fetched_at: OffsetDateTime,
    /// When it was accepted; `None` if it was rejected.
    pub accepted_at: Option<OffsetDateTime>,
    /// When every pod first was as it declares.
    pub applied_at: Option<OffsetDateTime>,
}

/// The row of a revision that was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Its id.
    pub id: i64,
    /// Whether the row is new, and not the same verdict on the same files once more.
    pub is_new: bool,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    hash: String,
    origin: String,
    problems: Value,
    fetched_at: OffsetDateTime,
    accepted_at: Option<OffsetDateTime>,
    applied_at: Option<OffsetDateTime>,
}

impl Store {
    /// Keeps a revision that built whole with these adapters, and the files of both. The newest row, if it says so
    /// already, is that row; other adapters make another.
    pub async fn accept(
        &self,
        hash: &str,
        origin: &str,
        files: &BTreeMap<String, Vec<u8>>,
        adapters: &AdapterFiles,
        now: OffsetDateTime,
    ) -> Result<Judged> {
        let digest = adapters.digest();
        within(PATIENCE, async {
            let mut transaction = self.pool.begin().await?;
            let judged = judge(&mut transaction, hash, origin, Verdict::Accepted(&digest), now).await?;
            if judged.is_new {
                let (paths, contents): (Vec<&str>, Vec<&[u8]>) = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).unzip();
                sqlx::query("INSERT INTO revision_files (revision, path, content) SELECT $1, * FROM unnest($2::text[], $3::bytea[])")
                    .bind(judged.id)
                    .bind(paths)
                    .bind(contents)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query(
                    "DELETE FROM revision_files WHERE revision NOT IN \
                     (SELECT id FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT $1)",
                )
                .bind(KEPT)
                .execute(&mut *transaction)
                .await?;
                keep_adapters(&mut transaction, &digest, adapters).await?;
            }
            transaction.commit().await?;
            Ok(judged)
        })
        .await
    }

    /// Keeps that a revision was rejected, and why. The newest row, if it says so already, is that row.
    pub async fn reject(&self, hash: &str, origin: &str, problems: &[Problem], now: OffsetDateTime) -> Result<Judged> {
        let problems = serde_json::to_value(problems).map_err(|error| StoreError::Other(error.to_string()))?;
        within(PATIENCE, async {
            let mut transaction = self.pool.begin().await?;
            let judged =
                judge(&mut transaction, hash, origin, Verdict::Rejected(&storable_json(&problems)), now).await?;
            transaction.commit().await?;
            Ok(judged)
        })
        .await
    }

    /// The revision in force, if one was ever accepted.
    pub async fn last_accepted(&self) -> Result<Option<Revision>> {
        within(PATIENCE, async {
            let mut transaction = self.pool.begin().await?;
            let query =
                "SELECT id, hash, origin, adapters, accepted_at FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT 1";
            let row: Option<(i64, String, String, Option<String>, OffsetDateTime)> =
                sqlx::query_as(query).fetch_optional(&mut *transaction).await?;
            let Some((id, hash, origin, adapters, accepted_at)) = row else { return Ok(None) };
            let query = "SELECT path, content FROM revision_files WHERE revision = $1";
            let files: Vec<(String, Vec<u8>)> = sqlx::query_as(query).bind(id).fetch_all(&mut *transaction).await?;
            let adapters = match adapters {
                Some(digest) => Some(adapters_of(&mut transaction, &digest).await?),
                None => None,
            };
            Ok(Some(Revision { id, hash, origin, files: files.into_iter().collect(), adapters, accepted_at }))
        })
        .await
    }

    /// The revision judged last, accepted or not.
    pub async fn newest(&self) -> Result<Option<RevisionRow>> {
        let query = "SELECT id, hash, origin, problems, fetched_at, accepted_at, applied_at FROM revisions ORDER BY id DESC LIMIT 1";
        let row: Option<Row> =
            within(PATIENCE, async { Ok(sqlx::query_as(query).fetch_optional(&self.pool).await?) }).await?;
        row.map(RevisionRow::try_from).transpose()
    }

    /// The revision in force as it is shown.
    pub async fn in_force(&self) -> Result<Option<RevisionRow>> {
        let query = "SELECT id, hash, origin, problems, fetched_at, accepted_at, applied_at FROM revisions \
                     WHERE state = 'accepted' ORDER BY id DESC LIMIT 1";
        let row: Option<Row> =
            within(PATIENCE, async { Ok(sqlx::query_as(query).fetch_optional(&self.pool).await?) }).await?;
        row.map(RevisionRow::try_from).transpose()
    }

    /// Keeps when every pod first was as a revision declares; answers whether that is news.
    pub async fn mark_applied(&self, id: i64, now: OffsetDateTime) -> Result<bool> {
        let query =
            sqlx::query("UPDATE revisions SET applied_at = $2 WHERE id = $1 AND applied_at IS NULL").bind(id).bind(now);
        within(PATIENCE, async { Ok(query.execute(&self.pool).await?.rows_affected() > 0) }).await
    }
}

/// What was found of a revision.
enum Verdict<'a> {
    /// It built whole with the adapters of this digest.
    Accepted(&'a Digest),
    /// It did not, for these problems.
    Rejected(&'a Value),
}

/// Keeps a set of adapters, and forgets those that no kept revision was accepted with.
async fn keep_adapters(connection: &mut PgConnection, digest: &Digest, adapters: &AdapterFiles) -> Result<()> {
    for (folder, files) in [("adapters", &adapters.adapters), ("templates", &adapters.templates)] {
        let (paths, contents): (Vec<&str>, Vec<&[u8]>) =
            files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).unzip();
        sqlx::query(
            "INSERT INTO adapter_files (adapters, folder, path, content) \
             SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[]) ON CONFLICT DO NOTHING",
        )
        .bind(digest.as_str())
        .bind(folder)
        .bind(paths)
        .bind(contents)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "DELETE FROM adapter_files WHERE adapters NOT IN (SELECT adapters FROM \
         (SELECT adapters FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT $1) AS kept \
         WHERE adapters IS NOT NULL)",
    )
    .bind(KEPT)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn adapters_of(connection: &mut PgConnection, digest: &str) -> Result<AdapterFiles> {
    let query = "SELECT folder, path, content FROM adapter_files WHERE adapters = $1";
    let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(query).bind(digest).fetch_all(&mut *connection).await?;
    let mut files = AdapterFiles::default();
    for (folder, path, content) in rows {
        let folder = if folder == "templates" { &mut files.templates } else { &mut files.adapters };
        folder.insert(path, content);
    }
    Ok(files)
}

/// Adds a row unless the newest one is the same verdict on the same files; that one then says where they came from last
/// and what is wrong with them now.
async fn judge(
    connection: &mut PgConnection,
    hash: &str,
    origin: &str,
    verdict: Verdict<'_>,
    now: OffsetDateTime,
) -> Result<Judged> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_key("agentpod revisions"))
        .execute(&mut *connection)
        .await?;
    let (nothing, origin) = (Value::Array(Vec::new()), storable(origin));
    let (state, adapters, problems) = match verdict {
        Verdict::Accepted(digest) => ("accepted", Some(digest.as_str()), &nothing),
        Verdict::Rejected(problems) => ("rejected", None, problems),
    };
    let newest: Option<(i64, String, String, Option<String>)> =
        sqlx::query_as("SELECT id, hash, state, adapters FROM revisions ORDER BY id DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    let same = newest.filter(|(_, newest_hash, newest_state, newest_adapters)| {
        newest_hash == hash && newest_state == state && newest_adapters.as_deref() == adapters
    });
    if let Some((id, ..)) = same {
        sqlx::query("UPDATE revisions SET origin = $2, problems = $3 WHERE id = $1 AND (origin, problems) IS DISTINCT FROM ($2, $3)")
            .bind(id)
            .bind(origin)
            .bind(problems)
            .execute(connection)
            .await?;
        return Ok(Judged { id, is_new: false });
    }
    let id = sqlx::query_scalar(
        "INSERT INTO revisions (hash, origin, state, adapters, problems, fetched_at, accepted_at) \
         VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $3 = 'accepted' THEN $6 END) RETURNING id",
    )
    .bind(hash)
    .bind(origin)
    .bind(state)
    .bind(adapters)
    .bind(problems)
    .bind(now)
    .fetch_one(connection)
    .await?;
    Ok(Judged { id, is_new: true })
}

impl TryFrom<Row> for RevisionRow {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let Row { id, hash, origin, problems, fetched_at, accepted_at, applied_at } = row;
        let problems = serde_json::from_value(problems);
        let problems = problems
            .map_err(|error| StoreError::inconsistent("revisions", id.to_string(), format!("problems: {error}")))?;
        Ok(Self { id, hash, origin, problems, fetched_at, accepted_at, applied_at })
    }
}
