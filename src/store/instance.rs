//! The instance row: which AgentPod a database belongs to, and which key its tokens are sealed with. The key is the one
//! in the key file or, after an interrupted rotation, the one in the file beside it; without a key the store does not
//! open. A new key is created for a new database only.

use std::path::{Path, PathBuf};

use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;

use super::{
    error::{Result, StoreError},
    key::{FingerprintKey, InstanceKey, random_text},
};
use crate::core::names::InstanceName;

const CHECK_CONTEXT: &str = "instance:check";
const CHECK_TEXT: &str = "agentpod";
const FINGERPRINT_CONTEXT: &str = "instance:fingerprint";

/// The one row of `instance`.
pub(super) struct InstanceRow {
    pub(crate) id: String,
    check_value: String,
    fingerprint_key: String,
    created_at: OffsetDateTime,
}

/// The columns of the row that depend on the instance key.
pub(super) struct Sealed {
    pub(crate) check_value: String,
    pub(crate) fingerprint_key: String,
}

impl InstanceRow {
    /// Whether the database is sealed with this key.
    pub(crate) fn is_sealed_with(&self, key: &InstanceKey) -> bool {
        key.open_sealed(&self.check_value, CHECK_CONTEXT).is_ok()
    }

    /// The key of the fingerprints.
    pub(crate) fn fingerprints(&self, key: &InstanceKey) -> Result<FingerprintKey> {
        let text = key.open_sealed(&self.fingerprint_key, FINGERPRINT_CONTEXT).ok();
        text.and_then(|text| FingerprintKey::from_text(&text)).ok_or_else(|| self.inconsistent_row())
    }

    /// The same row sealed with another key.
    pub(crate) fn resealed(&self, from: &InstanceKey, to: &InstanceKey) -> Result<Sealed> {
        let text = from.open_sealed(&self.fingerprint_key, FINGERPRINT_CONTEXT).map_err(|_| self.inconsistent_row())?;
        Ok(Sealed {
            check_value: to.seal(&CHECK_TEXT.into(), CHECK_CONTEXT)?,
            fingerprint_key: to.seal(&text, FINGERPRINT_CONTEXT)?,
        })
    }

    fn inconsistent_row(&self) -> StoreError {
        let what = "its fingerprint_key cannot be opened; restore the row from a backup";
        StoreError::inconsistent("instance", &self.id, what)
    }

    /// The key in `file` or the one beside it, whichever the database is sealed with.
    pub(crate) fn key_in(&self, file: &Path) -> Result<InstanceKey> {
        let there = InstanceKey::load(file);
        if let Ok(Some(key)) = &there
            && self.is_sealed_with(key)
        {
            return Ok(key.clone());
        }
        // A rotation wrote the next key and the rows, and stopped before the file took its place.
        if let Ok(Some(next)) = InstanceKey::load(&beside(file, NEXT))
            && self.is_sealed_with(&next)
        {
            return Ok(next.moved(file));
        }
        let there = there?;
        Err(StoreError::KeyMismatch(self.missing_key(file, there.is_some())))
    }

    fn missing_key(&self, file: &Path, exists: bool) -> String {
        let (path, id, made) = (file.display(), &self.id, self.created_at.date());
        let old = beside(file, OLD);
        let what = match exists {
            true => format!("the key in {path} is not the one"),
            false => format!("there is no instance key in {path}, and none is made in place of the one"),
        };
        let before = matches!(InstanceKey::load(&old), Ok(Some(key)) if self.is_sealed_with(&key));
        let restore = match before {
            true => {
                format!("This database is from before the last rotation of the key: copy {} to {path}", old.display())
            }
            false => "If the file was lost, or the state folder is a new one, put the old file back in its place or name it with \
                 --key-file; if the database is the wrong one, name the right one. If the key is lost for good, agentpod key reset \
                 --tokens makes a new token for every pod, which replaces their containers; volumes stay"
                .to_owned(),
        };
        format!(
            "{what} that the database of instance {id}, made on {made}, is sealed with, so the pods' gateway tokens cannot be \
             opened. Nothing was changed. {restore}"
        )
    }
}

/// Values for a row whose old fingerprints no longer matter.
pub(super) fn seal_new(key: &InstanceKey) -> Result<Sealed> {
    Ok(Sealed {
        check_value: key.seal(&CHECK_TEXT.into(), CHECK_CONTEXT)?,
        fingerprint_key: key.seal(&random_text()?, FINGERPRINT_CONTEXT)?,
    })
}

/// The suffix of the next key's file, before it takes its place.
pub(super) const NEXT: &str = "new";
/// The suffix of the previous key's file.
pub(super) const OLD: &str = "old";

/// A file beside the key's file.
pub(super) fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

/// The key in a file that opens the database, or a new one there if the database is new too.
pub(super) async fn key(pool: &PgPool, file: &Path, instance: &InstanceName) -> Result<InstanceKey> {
    let Some(row) = read(pool).await? else {
        return match InstanceKey::load(file)? {
            Some(key) => Ok(key),
            None => InstanceKey::create(file),
        };
    };
    check_instance(&row, instance)?;
    row.key_in(file)
}

/// Creates the row if the database is new, checks it otherwise, and opens the key of the fingerprints.
pub(super) async fn claim(pool: &PgPool, key: &InstanceKey, instance: &InstanceName) -> Result<FingerprintKey> {
    let row = match read(pool).await? {
        Some(row) => row,
        None => {
            let sealed = seal_new(key)?;
            sqlx::query!(
                "INSERT INTO instance (id, check_value, fingerprint_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                instance.as_str(),
                sealed.check_value,
                sealed.fingerprint_key
            )
            .execute(pool)
            .await?;
            // Another process may have inserted it first: that row counts.
            read(pool).await?.ok_or_else(|| StoreError::inconsistent("instance", instance.as_str(), "it is gone"))?
        }
    };
    check_instance(&row, instance)?;
    if !row.is_sealed_with(key) {
        return Err(StoreError::KeyMismatch(row.missing_key(key.path(), true)));
    }
    row.fingerprints(key)
}

pub(super) fn check_instance(row: &InstanceRow, instance: &InstanceName) -> Result<()> {
    match row.id == instance.as_str() {
        true => Ok(()),
        false => Err(StoreError::OtherInstance { there: row.id.clone(), here: instance.to_string() }),
    }
}

pub(super) async fn read(executor: impl PgExecutor<'_>) -> Result<Option<InstanceRow>> {
    let query = sqlx::query_as!(InstanceRow, "SELECT id, check_value, fingerprint_key, created_at FROM instance");
    Ok(query.fetch_optional(executor).await?)
}

/// Writes the columns that depend on the key.
pub(super) async fn write(executor: impl PgExecutor<'_>, sealed: Sealed) -> Result<()> {
    sqlx::query!(
        "UPDATE instance SET check_value = $1, fingerprint_key = $2",
        sealed.check_value,
        sealed.fingerprint_key
    )
    .execute(executor)
    .await?;
    Ok(())
}
