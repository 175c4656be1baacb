//! The files of revisions, and of the adapters they were checked with: kept for the newest ones.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::{
    core::{declare::adapter::AdapterFiles, digest::Digest},
    store::error::Result,
};

/// How many accepted revisions keep their files.
const ACCEPTED_KEPT: i64 = 50;
/// How many rejected revisions keep their files: enough to see what was wrong with the last few.
const KEPT_REJECTED: i64 = 20;

/// What a revision was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevisionFiles {
    /// The manifests by path, relative to the source's root.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// The adapters and templates it was checked with; `None` for one from before they were stored.
    pub adapters: Option<AdapterFiles>,
}

/// Stores the files of a new revision, and deletes those of revisions beyond the limit.
pub(super) async fn keep(
    connection: &mut PgConnection,
    revision: i64,
    files: &BTreeMap<String, Vec<u8>>,
    digest: &Digest,
    adapters: &AdapterFiles,
) -> Result<()> {
    let (paths, contents) = columns(files);
    sqlx::query!(
        "INSERT INTO revision_files (revision, path, content) SELECT $1, * FROM unnest($2::text[], $3::bytea[])",
        revision,
        paths as _,
        contents as _
    )
    .execute(&mut *connection)
    .await?;
    for (folder, files) in [("adapters", &adapters.adapters), ("templates", &adapters.templates)] {
        let (paths, contents) = columns(files);
        sqlx::query!(
            "INSERT INTO adapter_files (adapters, folder, path, content) \
             SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[]) ON CONFLICT DO NOTHING",
            digest.as_str(),
            folder,
            paths as _,
            contents as _
        )
        .execute(&mut *connection)
        .await?;
    }
    delete_old(connection).await
}

/// Deletes the files of revisions beyond the limit, and adapters that no other revision uses.
async fn delete_old(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!(
        "DELETE FROM revision_files WHERE revision NOT IN ( \
           (SELECT id FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT $1) UNION ALL \
           (SELECT id FROM revisions WHERE state = 'rejected' ORDER BY id DESC LIMIT $2))",
        ACCEPTED_KEPT,
        KEPT_REJECTED
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM adapter_files WHERE adapters NOT IN ( \
           (SELECT coalesce(adapters, '') FROM revisions WHERE state = 'accepted' ORDER BY id DESC LIMIT $1) UNION ALL \
           (SELECT coalesce(adapters, '') FROM revisions WHERE state = 'rejected' ORDER BY id DESC LIMIT $2))",
        ACCEPTED_KEPT,
        KEPT_REJECTED
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The files of a revision; empty if they were deleted since.
pub(super) async fn of(connection: &mut PgConnection, revision: i64, adapters: Option<&str>) -> Result<RevisionFiles> {
    let query = sqlx::query!("SELECT path, content FROM revision_files WHERE revision = $1", revision);
    let manifests = query.fetch_all(&mut *connection).await?;
    let adapters = match adapters {
        Some(digest) => Some(adapters_of(connection, digest).await?),
        None => None,
    };
    Ok(RevisionFiles { manifests: manifests.into_iter().map(|file| (file.path, file.content)).collect(), adapters })
}

/// One set of adapters and templates.
pub(super) async fn adapters_of(connection: &mut PgConnection, digest: &str) -> Result<AdapterFiles> {
    let query = sqlx::query!("SELECT folder, path, content FROM adapter_files WHERE adapters = $1", digest);
    let mut files = AdapterFiles::default();
    for file in query.fetch_all(connection).await? {
        let folder = if file.folder == "templates" { &mut files.templates } else { &mut files.adapters };
        folder.insert(file.path, file.content);
    }
    Ok(files)
}

/// Paths and contents, each as a column.
fn columns(files: &BTreeMap<String, Vec<u8>>) -> (Vec<&str>, Vec<&[u8]>) {
    files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).unzip()
}
