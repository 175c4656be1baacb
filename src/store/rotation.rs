//! Rotating secrets: the instance key, every pod's token when the key is lost, one pod's token on request. Each is one
//! transaction; a process that stops in the middle leaves a database and a key file that match.
//!
//! The next key is written to a file beside the current one first, then the rows, then the file takes its place. If the
//! process stops before the commit, the current key is still right; after it, the next one is, and every start finds it.

use std::{fs, io, path::Path};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use super::{
    QUERY_TIMEOUT, Store,
    error::{Result, StoreError},
    events::{self, Event},
    instance::{self, InstanceRow, NEXT, OLD, beside},
    key::{InstanceKey, random_text},
    lock::{self, Lead, lock_key},
    pods::{pod_id, token_context},
    request_listener,
    sync::SYNC,
    with_timeout,
};
use crate::{
    core::{
        event::EventKind,
        names::{InstanceName, PodId},
    },
    private_file,
};

impl Store {
    /// Seals everything under a new key and replaces the old one; returns how many tokens were sealed. Only for the
    /// leader: other processes would go on sealing with the old key.
    pub async fn rotate_key(&self, lead: &mut Lead, actor: &str, now: OffsetDateTime) -> Result<usize> {
        let old = self.key();
        let (file, next) = (old.path(), beside(old.path(), NEXT));
        if !lead.is_held().await {
            return Err(StoreError::Unreachable("the leader lock was lost; try again".into()));
        }
        let (new, sealed) = self
            .run("rotate_key", async {
                let mut transaction = self.pool.begin().await?;
                let row = lock_row(&mut transaction).await?;
                if !row.is_sealed_with(&old) {
                    return Err(StoreError::Other(
                        "another process has just rotated the instance key; check before you rotate it again".into(),
                    ));
                }
                // A rotation that stopped before its commit may have left one. Nothing is sealed with it.
                remove(&next)?;
                let new = InstanceKey::create(&next)?;
                instance::write(&mut *transaction, row.resealed(&old, &new)?).await?;
                let tokens = tokens(&mut transaction).await?;
                let mut resealed = Vec::new();
                for (id, text) in &tokens {
                    let context = token_context(id);
                    let token = old.open_sealed(text, &context).map_err(|_| cannot_open(id))?;
                    resealed.push(new.seal(&token, &context)?);
                }
                put_tokens(&mut transaction, tokens.iter().map(|(id, _)| id.clone()).collect(), resealed, 0).await?;
                let message = format!("{actor} rotated the instance key; {} tokens were sealed again", tokens.len());
                events::record(&mut transaction, &Event::of_none(EventKind::KeyRotated, message), now).await?;
                transaction.commit().await?;
                Ok((new, tokens.len()))
            })
            .await?;
        replace_key_file(file)?;
        self.hold(new.moved(file));
        Ok(sealed)
    }

    /// For a database whose key is lost: seals it under the key in `file`, created if there is none, with a new token for
    /// every pod. Returns the pods. Refused while the key is not lost, or an AgentPod leads.
    pub async fn reset_key(
        options: PgConnectOptions,
        file: &Path,
        instance: &InstanceName,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<PodId>> {
        let pool = super::prepare(&options, super::Tables::Require).await?;
        let Some(lead) = lock::try_lead(&options, instance).await? else {
            return Err(StoreError::Other("an AgentPod daemon runs on this database; stop it first".into()));
        };
        let pods = with_timeout(QUERY_TIMEOUT, async {
            let mut transaction = pool.begin().await?;
            let row = lock_row(&mut transaction).await?;
            instance::check_instance(&row, instance)?;
            if row.key_in(file).is_ok() {
                let what =
                    "the key is not lost: it opens the database. To rotate one pod's token, run agentpod token rotate";
                return Err(StoreError::KeyFile { path: file.into(), what: what.into() });
            }
            let key = match InstanceKey::load(file)? {
                Some(key) => key,
                None => InstanceKey::create(file)?,
            };
            instance::write(&mut *transaction, instance::seal_new(&key)?).await?;
            let ids: Vec<String> = tokens(&mut transaction).await?.into_iter().map(|(id, _)| id).collect();
            let seal = |id: &String| key.seal(&random_text()?, &token_context(id));
            let sealed = ids.iter().map(seal).collect::<Result<Vec<_>>>()?;
            put_tokens(&mut transaction, ids.clone(), sealed, 1).await?;
            let message = format!("{actor} replaced the lost instance key; every pod has a new token");
            events::record(&mut transaction, &Event::of_none(EventKind::KeyReset, message), now).await?;
            transaction.commit().await?;
            ids.iter().map(|id| pod_id(id)).collect()
        })
        .await;
        lead.release().await?;
        pool.close().await;
        pods
    }

    /// Gives a pod a new token and notifies the daemon, which replaces the container. Returns the
    /// token's new version, or `None` for a pod that was never declared.
    pub async fn rotate_token(&self, pod: &PodId, actor: &str, now: OffsetDateTime) -> Result<Option<i32>> {
        let key = pod.key();
        self.run("rotate_token", async {
            let mut transaction = self.pool.begin().await?;
            lock_row(&mut transaction).await?;
            let token = self.sealing_key(&mut transaction).await?.seal(&random_text()?, &token_context(&key))?;
            let version: Option<i32> = sqlx::query_scalar!(
                "UPDATE pods SET gateway_token = $2, token_version = token_version + 1, updated_at = $3 WHERE id = $1 \
                 RETURNING token_version",
                &key,
                token,
                now
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(version) = version {
                let message = format!("{actor} rotated its gateway token (version {version})");
                events::record(&mut transaction, &Event::of_pod(pod, EventKind::TokenRotated, message), now).await?;
                request_listener::notify(&mut transaction).await?;
            }
            transaction.commit().await?;
            Ok(version)
        })
        .await
    }

    /// The key to seal with inside a transaction that holds the lock of all writers: the current one, even if another
    /// process has just rotated it.
    pub(super) async fn sealing_key(&self, connection: &mut PgConnection) -> Result<InstanceKey> {
        let row = read_row(connection).await?;
        let key = self.key();
        if row.is_sealed_with(&key) {
            return Ok(key);
        }
        let key = row.key_in(key.path())?;
        self.hold(key.clone());
        Ok(key)
    }

    /// Makes sure that this process has the current key, and that its file has it too. Only for the leader.
    pub(super) async fn refresh_key(&self, connection: &mut PgConnection) -> Result<()> {
        let row = read_row(connection).await?;
        let held = self.key();
        let file = held.path().to_owned();
        if row.is_sealed_with(&held) && matches!(InstanceKey::load(&file), Ok(Some(key)) if row.is_sealed_with(&key)) {
            return Ok(());
        }
        match row.key_in(&file) {
            Ok(key) => {
                if matches!(InstanceKey::load(&beside(&file, NEXT)), Ok(Some(next)) if row.is_sealed_with(&next)) {
                    replace_key_file(&file)?;
                }
                self.hold(key);
                Ok(())
            }
            // The file disappeared after it was read: the key is still right.
            Err(_) if row.is_sealed_with(&held) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The row of `instance`, under the lock that everyone takes who seals tokens.
async fn lock_row(connection: &mut PgConnection) -> Result<InstanceRow> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", lock_key(SYNC)).execute(&mut *connection).await?;
    // The commit must be durable: a key file follows it.
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *connection).await?;
    read_row(connection).await
}

async fn read_row(connection: &mut PgConnection) -> Result<InstanceRow> {
    let row = instance::read(connection).await?;
    row.ok_or_else(|| StoreError::inconsistent("instance", "", "it is gone; restore it from a backup"))
}

async fn tokens(connection: &mut PgConnection) -> Result<Vec<(String, String)>> {
    let query = sqlx::query!("SELECT id, gateway_token FROM pods ORDER BY id FOR UPDATE");
    Ok(query.fetch_all(connection).await?.into_iter().map(|row| (row.id, row.gateway_token)).collect())
}

async fn put_tokens(connection: &mut PgConnection, ids: Vec<String>, sealed: Vec<String>, raise: i32) -> Result<()> {
    sqlx::query!(
        "UPDATE pods SET gateway_token = new.token, token_version = token_version + $3 \
         FROM unnest($1::text[], $2::text[]) AS new (id, token) WHERE pods.id = new.id",
        &ids,
        &sealed,
        raise
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn cannot_open(id: &str) -> StoreError {
    let pod = PodId::from_key(id).map_or_else(|| id.to_owned(), |pod| pod.to_string());
    StoreError::inconsistent(
        "pods",
        id,
        format!("its gateway_token cannot be opened; rotate it first: agentpod token rotate {pod}"),
    )
}

/// The next key replaces the current one, which is kept as the old one: backups of the database need it.
fn replace_key_file(file: &Path) -> Result<()> {
    let fail = |error: io::Error| StoreError::KeyFile {
        path: file.into(),
        what: format!("the next key, {}, cannot take its place: {error}; move it there", beside(file, NEXT).display()),
    };
    let old = beside(file, OLD);
    remove(&old)?;
    match fs::hard_link(file, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    private_file::replace(&beside(file, NEXT), file).map_err(fail)
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::KeyFile { path: file.into(), what: format!("it cannot be removed: {error}") })
        }
        _ => Ok(()),
    }
}
