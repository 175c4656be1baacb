//! Rotating secrets: the instance key, every pod's token when the key is lost, one pod's token on request. Each is one
//! transaction; a process that stops in the middle leaves a database and a key file that match.
//!
//! The next key is written to a file beside the current one first, then the rows, then the file takes its place. If the
//! process stops before the commit, the current key is still right; after it, the next one is, and every start finds it.

use std::{fmt, fs, io, path::Path};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;

use super::{
    QUERY_TIMEOUT, Store, advisory,
    error::{Result, StoreError},
    events::{self, Event},
    instance::{self, InstanceRow, NEXT, OLD, beside},
    key::{InstanceKey, random_text},
    lease::{self, Candidate, Lead},
    pods::{pod_id, seed_context, token_context},
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
    pub async fn rotate_key(&self, lead: &Lead, actor: &str, now: OffsetDateTime) -> Result<usize> {
        let old = self.key();
        let (file, next) = (old.path(), beside(old.path(), NEXT));
        let (new, sealed) = self
            .run("rotate_key", async {
                let mut transaction = self.led_by(lead).begin().await?;
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
                let rows = sealed_rows(&mut transaction).await?;
                let mut resealed = Vec::new();
                for row in &rows {
                    let again = |sealed: &str, context: &str, what: Rotated| {
                        let text = old.open_sealed(sealed, context).map_err(|_| cannot_open(&row.id, what))?;
                        new.seal(&text, context)
                    };
                    resealed.push(SealedRow {
                        id: row.id.clone(),
                        token: again(&row.token, &token_context(&row.id), Rotated::Token)?,
                        seed: again(&row.seed, &seed_context(&row.id), Rotated::Generated)?,
                    });
                }
                put_sealed(&mut transaction, resealed, 0).await?;
                let message = format!("{actor} rotated the instance key; {} tokens were sealed again", rows.len());
                events::record(&mut transaction, &Event::of_none(EventKind::KeyRotated, message), now).await?;
                transaction.commit().await?;
                Ok((new, rows.len()))
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
        let (_, pool) = super::prepare(&options, super::Tables::Require).await?;
        let Some(lead) = lease::take(&pool, &mut Candidate::default()).await? else {
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
            let ids: Vec<String> = sealed_rows(&mut transaction).await?.into_iter().map(|row| row.id).collect();
            let seal = |id: &String| -> Result<SealedRow> {
                let token = key.seal(&random_text()?, &token_context(id))?;
                Ok(SealedRow { id: id.clone(), token, seed: key.seal(&random_text()?, &seed_context(id))? })
            };
            let sealed = ids.iter().map(seal).collect::<Result<Vec<_>>>()?;
            put_sealed(&mut transaction, sealed, 1).await?;
            let message =
                format!("{actor} replaced the lost instance key; every pod has a new token and new generated secrets");
            events::record(&mut transaction, &Event::of_none(EventKind::KeyReset, message), now).await?;
            transaction.commit().await?;
            ids.iter().map(|id| pod_id(id)).collect()
        })
        .await;
        lead.release().await?;
        pool.close().await;
        pods
    }

    /// Gives a pod a new token, or new generated secrets, and notifies the daemon, which replaces the container. Returns the
    /// new version, or `None` for a pod that was never declared.
    pub async fn rotate(&self, pod: &PodId, what: Rotated, actor: &str, now: OffsetDateTime) -> Result<Option<i32>> {
        let key = pod.key();
        self.run("rotate", async {
            let mut transaction = self.begin().await?;
            lock_row(&mut transaction).await?;
            let sealing_key = self.sealing_key(&mut transaction).await?;
            let version: Option<i32> = match what {
                Rotated::Token => {
                    let query = sqlx::query_scalar!(
                        "UPDATE pods SET gateway_token = $2, token_version = token_version + 1, updated_at = $3 \
                         WHERE id = $1 RETURNING token_version",
                        &key,
                        sealing_key.seal(&random_text()?, &token_context(&key))?,
                        now
                    );
                    query.fetch_optional(&mut *transaction).await?
                }
                Rotated::Generated => {
                    let query = sqlx::query_scalar!(
                        "UPDATE pods SET generated_seed = $2, generated_version = generated_version + 1, \
                         updated_at = $3 WHERE id = $1 RETURNING generated_version",
                        &key,
                        sealing_key.seal(&random_text()?, &seed_context(&key))?,
                        now
                    );
                    query.fetch_optional(&mut *transaction).await?
                }
            };
            if let Some(version) = version {
                let message = format!("{actor} rotated its {what} (version {version})");
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
    advisory::lock(connection, SYNC).await?;
    // The commit must be durable: a key file follows it.
    sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *connection).await?;
    read_row(connection).await
}

async fn read_row(connection: &mut PgConnection) -> Result<InstanceRow> {
    let row = instance::read(connection).await?;
    row.ok_or_else(|| StoreError::inconsistent("instance", "", "it is gone; restore it from a backup"))
}

/// What a pod was given at random, and can be given anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The gateway token.
    Token,
    /// The secrets that its adapter asks for; what depends on them may be lost.
    Generated,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "gateway token",
            Self::Generated => "generated secrets",
        })
    }
}

/// A pod's sealed texts.
struct SealedRow {
    id: String,
    token: String,
    seed: String,
}

async fn sealed_rows(connection: &mut PgConnection) -> Result<Vec<SealedRow>> {
    let query = sqlx::query_as!(
        SealedRow,
        "SELECT id, gateway_token AS token, generated_seed AS seed FROM pods ORDER BY id FOR UPDATE"
    );
    Ok(query.fetch_all(connection).await?)
}

async fn put_sealed(connection: &mut PgConnection, rows: Vec<SealedRow>, raise: i32) -> Result<()> {
    let (ids, sealed): (Vec<String>, Vec<(String, String)>) =
        rows.into_iter().map(|row| (row.id, (row.token, row.seed))).unzip();
    let (tokens, seeds): (Vec<String>, Vec<String>) = sealed.into_iter().unzip();
    sqlx::query!(
        "UPDATE pods SET gateway_token = new.token, token_version = token_version + $4, \
         generated_seed = new.seed, generated_version = generated_version + $4 \
         FROM unnest($1::text[], $2::text[], $3::text[]) AS new (id, token, seed) WHERE pods.id = new.id",
        &ids,
        &tokens,
        &seeds,
        raise
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn cannot_open(id: &str, what: Rotated) -> StoreError {
    let pod = PodId::from_key(id).map_or_else(|| id.to_owned(), |pod| pod.to_string());
    let (column, flag) = match what {
        Rotated::Token => ("gateway_token", ""),
        Rotated::Generated => ("generated_seed", " --generated"),
    };
    StoreError::inconsistent(
        "pods",
        id,
        format!("its {column} cannot be opened; rotate it first: agentpod token rotate {pod}{flag}"),
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
