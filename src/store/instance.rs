//! The instance row: which AgentPod a database belongs to, and which key its tokens are sealed with. The key is the one
//! in the key file or, when an exchange was cut off, the one beside it; with neither there is no store. A new key is
//! made for a new database only.

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
    pub id: String,
    check_value: String,
    fingerprint_key: String,
    created_at: OffsetDateTime,
}

/// What of the row depends on the instance key.
pub(super) struct Sealed {
    pub check_value: String,
    pub fingerprint_key: String,
}

impl InstanceRow {
    /// Whether the database is sealed with this key.
    pub fn is_sealed_with(&self, key: &InstanceKey) -> bool {
        key.open_sealed(&self.check_value, CHECK_CONTEXT).is_ok()
    }

    /// The key of the fingerprints.
    pub fn fingerprints(&self, key: &InstanceKey) -> Result<FingerprintKey> {
        let text = key.open_sealed(&self.fingerprint_key, FINGERPRINT_CONTEXT).ok();
        text.and_then(|text| FingerprintKey::from_text(&text)).ok_or_else(|| self.damaged())
    }

    /// The same sealed with another key.
    pub fn resealed(&self, from: &InstanceKey, to: &InstanceKey) -> Result<Sealed> {
        let text = from.open_sealed(&self.fingerprint_key, FINGERPRINT_CONTEXT).map_err(|_| self.damaged())?;
        Ok(Sealed {
            check_value: to.seal(&CHECK_TEXT.into(), CHECK_CONTEXT)?,
            fingerprint_key: to.seal(&text, FINGERPRINT_CONTEXT)?,
        })
    }

    fn damaged(&self) -> StoreError {
        let what = "its fingerprint_key cannot be opened; restore the row from a backup";
        StoreError::inconsistent("instance", &self.id, what)
    }

    /// The key in `file` or beside it, whichever the database is sealed with.
    pub fn key_in(&self, file: &Path) -> Result<InstanceKey> {
        let there = InstanceKey::load(file);
        if let Ok(Some(key)) = &there
            && self.is_sealed_with(key)
        {
            return Ok(key.clone());
        }
        // An exchange wrote the next key and the rows, and was cut off before the file had its place.
        if let Ok(Some(next)) = InstanceKey::load(&next_to(file, NEXT))
            && self.is_sealed_with(&next)
        {
            return Ok(next.moved(file));
        }
        let there = there?;
        Err(StoreError::KeyMismatch(self.no_key(file, there.is_some())))
    }

    fn no_key(&self, file: &Path, is_there: bool) -> String {
        let (path, id, made) = (file.display(), &self.id, self.created_at.date());
        let old = next_to(file, OLD);
        let what = match is_there {
            true => format!("the key in {path} is not the one"),
            false => format!("there is no instance key in {path}, and none is made in place of the one"),
        };
        let before = matches!(InstanceKey::load(&old), Ok(Some(key)) if self.is_sealed_with(&key));
        let restore = match before {
            true => {
                format!("This database is from before the last exchange of the key: copy {} to {path}", old.display())
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

/// Values for a row whose fingerprints nobody has to find again.
pub(super) fn sealed_anew(key: &InstanceKey) -> Result<Sealed> {
    Ok(Sealed {
        check_value: key.seal(&CHECK_TEXT.into(), CHECK_CONTEXT)?,
        fingerprint_key: key.seal(&random_text()?, FINGERPRINT_CONTEXT)?,
    })
}

/// How the file is called that a key stands in before it has its place.
pub(super) const NEXT: &str = "new";
/// How the file is called that the key before stands in.
pub(super) const OLD: &str = "old";

/// A file beside a key's.
pub(super) fn next_to(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

/// The key of a database in a file, or a new one there if the database is new, too.
pub(super) async fn key(pool: &PgPool, file: &Path, instance: &InstanceName) -> Result<InstanceKey> {
    let Some(row) = read(pool).await? else {
        return match InstanceKey::load(file)? {
            Some(key) => Ok(key),
            None => InstanceKey::create(file),
        };
    };
    same_instance(&row, instance)?;
    row.key_in(file)
}

/// Makes the row if the database is new, checks it if not, and opens the key of the fingerprints.
pub(super) async fn claim(pool: &PgPool, key: &InstanceKey, instance: &InstanceName) -> Result<FingerprintKey> {
    let row = match read(pool).await? {
        Some(row) => row,
        None => {
            let sealed = sealed_anew(key)?;
            sqlx::query!(
                "INSERT INTO instance (id, check_value, fingerprint_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                instance.as_str(),
                sealed.check_value,
                sealed.fingerprint_key
            )
            .execute(pool)
            .await?;
            // Another process may have been first: its row is the row.
            read(pool).await?.ok_or_else(|| StoreError::inconsistent("instance", instance.as_str(), "it is gone"))?
        }
    };
    same_instance(&row, instance)?;
    if !row.is_sealed_with(key) {
        return Err(StoreError::KeyMismatch(row.no_key(key.path(), true)));
    }
    row.fingerprints(key)
}

pub(super) fn same_instance(row: &InstanceRow, instance: &InstanceName) -> Result<()> {
    match row.id == instance.as_str() {
        true => Ok(()),
        false => Err(StoreError::OtherInstance { there: row.id.clone(), here: instance.to_string() }),
    }
}

pub(super) async fn read(executor: impl PgExecutor<'_>) -> Result<Option<InstanceRow>> {
    let query = sqlx::query_as!(InstanceRow, "SELECT id, check_value, fingerprint_key, created_at FROM instance");
    Ok(query.fetch_optional(executor).await?)
}

/// Writes what depends on the key.
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
