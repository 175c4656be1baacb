//! The files of revisions, and those of the adapters they were judged with: kept for the newest ones, given back whole.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::{
    core::{declare::adapter::AdapterFiles, digest::Digest},
    store::error::Result,
};

/// How many accepted revisions keep their files.
const KEPT: i64 = 50;
/// How many rejected ones: enough to see what was wrong with the last few.
const KEPT_REJECTED: i64 = 20;

/// What a revision was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevisionFiles {
    /// The manifests by path, relative to the source's root.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was judged with; `None` for one from before they were kept.
    pub adapters: Option<AdapterFiles>,
}

/// Keeps the files of a new revision, and forgets those of revisions past their number.
pub(super) async fn keep(
    connection: &mut PgConnection,
    revision: i64,
    files: &BTreeMap<String, Vec<u8>>,
    digest: &Digest,
    adapters: &AdapterFiles,
) -> Result<()> {
    let (paths, contents) = columns(files);
    sqlx::query(
        "INSERT INTO revision_files (revision, path, content) SELECT $1, * FROM unnest($2::text[], $3::bytea[])",
    )
    .bind(revision)
    .bind(paths)
    .bind(contents)
    .execute(&mut *connection)
    .await?;
    for (folder, files) in [("adapters", &adapters.adapters), ("templates", &adapters.templates)] {
        let (paths, contents) = columns(files);
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
    let kept = "SELECT * FROM (SELECT id, adapters FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT $1) AS accepted \
                UNION ALL SELECT * FROM (SELECT id, adapters FROM revisions WHERE state = 'rejected' ORDER BY id DESC LIMIT $2) AS rejected";
    for query in [
        format!("DELETE FROM revision_files WHERE revision NOT IN (SELECT id FROM ({kept}) AS kept)"),
        format!(
            "DELETE FROM adapter_files WHERE adapters NOT IN (SELECT adapters FROM ({kept}) AS kept WHERE adapters IS NOT NULL)"
        ),
    ] {
        // Made of our own words only.
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(KEPT).bind(KEPT_REJECTED);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// The files of a revision; empty when they are not kept any more.
pub(super) async fn of(connection: &mut PgConnection, revision: i64, adapters: Option<&str>) -> Result<RevisionFiles> {
    let query = "SELECT path, content FROM revision_files WHERE revision = $1";
    let manifests: Vec<(String, Vec<u8>)> = sqlx::query_as(query).bind(revision).fetch_all(&mut *connection).await?;
    let adapters = match adapters {
        Some(digest) => Some(adapters_of(connection, digest).await?),
        None => None,
    };
    Ok(RevisionFiles { manifests: manifests.into_iter().collect(), adapters })
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

/// Paths and contents, each as a column.
fn columns(files: &BTreeMap<String, Vec<u8>>) -> (Vec<&str>, Vec<&[u8]>) {
    files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).unzip()
}
