//! What is kept about pods: the planner's state from earlier rounds, and what sets it. Nothing in here changes what a pod
//! should be; that is the sync's job.

use std::collections::BTreeMap;

use secrecy::SecretString;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Store,
    error::{Result, StoreError},
    key::InstanceKey,
    without_nul,
};
use crate::core::{
    decide::{
        plan::{Allowance, PodState, Rejected, Uploaded},
        retry::{FailureKind, Retry},
    },
    declare::{desired::PodIdentity, desired_status::DesiredStatus},
    digest::Digest,
    names::PodId,
};

/// The `desired_status` of a row.
pub(super) fn desired_status(row: &str, text: &str) -> Result<DesiredStatus> {
    text.parse().map_err(|_| StoreError::inconsistent("pods", row, format!("desired_status is {text:?}")))
}

/// The pod of a row of `pods`.
pub(super) fn pod_id(key: &str) -> Result<PodId> {
    PodId::from_key(key).ok_or_else(|| StoreError::inconsistent("pods", key, "id is not TENANT_POD"))
}

/// The context that a gateway token is sealed for: it does not open for another pod.
pub(super) fn token_context(key: &str) -> String {
    format!("token:{key}")
}

/// The context that the seed of a pod's generated secrets is sealed for.
pub(super) fn seed_context(key: &str) -> String {
    format!("generated:{key}")
}

/// What a pod was given at random.
#[derive(Debug, Clone)]
pub struct PodSecrets {
    /// The gateway token's version, from 1; each rotation adds one.
    pub(crate) token_version: i32,
    /// The gateway token.
    pub(crate) token: SecretString,
    /// The version of the generated secrets.
    pub(crate) generated_version: i32,
    /// What the generated secrets are derived from.
    pub(crate) seed: SecretString,
}

struct SealedRow {
    id: String,
    token_version: i32,
    gateway_token: String,
    generated_version: i32,
    generated_seed: String,
}

impl SealedRow {
    /// The row's secrets, or the column that does not open.
    fn open(&self, instance_key: &InstanceKey) -> Result<PodSecrets, &'static str> {
        let token = instance_key.open_sealed(&self.gateway_token, &token_context(&self.id));
        let seed = instance_key.open_sealed(&self.generated_seed, &seed_context(&self.id));
        Ok(PodSecrets {
            token_version: self.token_version,
            token: token.map_err(|_| "gateway_token")?,
            generated_version: self.generated_version,
            seed: seed.map_err(|_| "generated_seed")?,
        })
    }
}

/// Changes whenever any pod's identity does; see [`Store::identities_stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitiesStamp {
    pods: i64,
    versions: i64,
}

struct PodStateRow {
    id: String,
    rejected_digest: Option<String>,
    rejected_why: Option<String>,
    uploaded_container: Option<String>,
    uploaded_digest: Option<String>,
    retry_target: Option<String>,
    retry_failures: Option<i32>,
    retry_at: Option<OffsetDateTime>,
    retry_why: Option<String>,
    retry_kind: Option<String>,
    undeclared_at: Option<OffsetDateTime>,
    removal_allowed_at: Option<OffsetDateTime>,
    removal_revision: Option<String>,
    subdomain: String,
    volume_since: Option<OffsetDateTime>,
}

impl Store {
    /// What every pod that was ever declared keeps from its first declaration on.
    pub async fn identities(&self) -> Result<BTreeMap<PodId, PodIdentity>> {
        let query = sqlx::query!("SELECT id, volume, token_version, generated_version FROM pods");
        let rows = self.query("identities", query.fetch_all(&self.pool)).await?;
        rows.into_iter()
            .map(|row| {
                let (token_version, generated_version) = (row.token_version, row.generated_version);
                Ok((pod_id(&row.id)?, PodIdentity { volume: row.volume, token_version, generated_version }))
            })
            .collect()
    }

    /// The stored state of every pod that was ever declared. What has to be measured is left out.
    pub async fn pod_states(&self) -> Result<BTreeMap<PodId, PodState>> {
        let query = sqlx::query_as!(
            PodStateRow,
            "SELECT id, rejected_digest, rejected_why, uploaded_container, uploaded_digest, retry_target, \
             retry_failures, retry_at, retry_why, retry_kind, undeclared_at, removal_allowed_at, \
             removal_revision, subdomain, volume_since FROM pods"
        );
        let rows: Vec<PodStateRow> = self.query("pod_states", query.fetch_all(&self.pool)).await?;
        rows.into_iter().map(|row| Ok((pod_id(&row.id)?, row.into()))).collect()
    }

    /// Stores when to try again, or that there is nothing to try again. Like every setter in here it writes only what
    /// differs, and nothing for a pod that was never declared.
    pub async fn set_retry(&self, pod: &PodId, retry: Option<&Retry>) -> Result<()> {
        let query = sqlx::query!(
            "UPDATE pods SET retry_target = $2, retry_failures = $3, retry_at = $4, retry_why = $5, \
             retry_kind = $6 WHERE id = $1 AND (retry_target, retry_failures, retry_at, retry_why, \
             retry_kind) IS DISTINCT FROM ($2, $3, $4, $5, $6)",
            pod.key(),
            retry.map(|retry| retry.target.to_string()),
            retry.map(|retry| i32::try_from(retry.failures).unwrap_or(i32::MAX)),
            retry.map(|retry| retry.at),
            retry.map(|retry| without_nul(&retry.why)),
            retry.map(|retry| retry.kind.as_str())
        );
        self.execute("set_retry", query).await.map(drop)
    }

    /// Stores a rejected digest, or that there is none.
    pub async fn set_rejected(&self, pod: &PodId, rejected: Option<&Rejected>) -> Result<()> {
        let query = sqlx::query!(
            "UPDATE pods SET rejected_digest = $2, rejected_why = $3 WHERE id = $1 \
             AND (rejected_digest, rejected_why) IS DISTINCT FROM ($2, $3)",
            pod.key(),
            rejected.map(|rejected| rejected.digest.as_str()),
            rejected.map(|rejected| without_nul(&rejected.why))
        );
        self.execute("set_rejected", query).await.map(drop)
    }

    /// Stores which hot files are in which container, or that none are.
    pub async fn set_uploaded(&self, pod: &PodId, uploaded: Option<&Uploaded>) -> Result<()> {
        let query = sqlx::query!(
            "UPDATE pods SET uploaded_container = $2, uploaded_digest = $3 WHERE id = $1 \
             AND (uploaded_container, uploaded_digest) IS DISTINCT FROM ($2, $3)",
            pod.key(),
            uploaded.map(|uploaded| uploaded.container.as_str()),
            uploaded.map(|uploaded| uploaded.digest.as_str())
        );
        self.execute("set_uploaded", query).await.map(drop)
    }

    /// Stores since when a pod has data in its volume, or that it has none.
    pub async fn set_volume_since(&self, pod: &PodId, since: Option<OffsetDateTime>) -> Result<()> {
        let query = sqlx::query!(
            "UPDATE pods SET volume_since = $2 WHERE id = $1 AND volume_since IS DISTINCT FROM $2",
            pod.key(),
            since
        );
        self.execute("set_volume_since", query).await.map(drop)
    }

    /// Stores that a pod that is no longer declared may be removed, or that it may not. Nothing is written for a
    /// declared pod.
    pub async fn set_removal_allowed(&self, pod: &PodId, allowed: Option<&Allowance>) -> Result<()> {
        self.run("set_removal_allowed", async {
            let mut transaction = self.begin().await?;
            allow_removal(&mut transaction, pod, allowed).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// What every pod was given at random. A pod of which something cannot be opened is left out.
    pub(crate) async fn all_pod_secrets(&self) -> Result<BTreeMap<PodId, PodSecrets>> {
        let query = sqlx::query_as!(
            SealedRow,
            "SELECT id, token_version, gateway_token, generated_version, generated_seed FROM pods"
        );
        let rows = self.query("all_pod_secrets", query.fetch_all(&self.pool)).await?;
        let instance_key = self.key();
        rows.into_iter()
            .filter_map(|row| Some((pod_id(&row.id), row.open(&instance_key).ok()?)))
            .map(|(id, secrets)| Ok((id?, secrets)))
            .collect()
    }

    /// A pod's gateway token; `None` for a pod that was never declared.
    pub async fn token(&self, pod: &PodId) -> Result<Option<SecretString>> {
        Ok(self.pod_secrets(pod).await?.map(|secrets| secrets.token))
    }

    /// What a pod was given at random; `None` for a pod that was never declared.
    pub async fn pod_secrets(&self, pod: &PodId) -> Result<Option<PodSecrets>> {
        let key = pod.key();
        self.run("pod_secrets", async {
            let mut damaged = "gateway_token";
            // Twice: the instance key may have been rotated since it was read.
            for again in [false, true] {
                let mut connection = self.pool.acquire().await?;
                let instance_key = match again {
                    true => self.sealing_key(&mut connection).await?,
                    false => self.key(),
                };
                let query = sqlx::query_as!(
                    SealedRow,
                    "SELECT id, token_version, gateway_token, generated_version, generated_seed FROM pods WHERE id = $1",
                    &key
                );
                match query.fetch_optional(&mut *connection).await?.map(|row| row.open(&instance_key)) {
                    None => return Ok(None),
                    Some(Ok(secrets)) => return Ok(Some(secrets)),
                    Some(Err(column)) => damaged = column,
                }
            }
            Err(StoreError::inconsistent("pods", key.as_str(), format!("its {damaged} cannot be opened")))
        })
        .await
    }

    /// Changes whenever [`Store::identities`] does, and is cheaper to read.
    pub async fn identities_stamp(&self) -> Result<IdentitiesStamp> {
        let query = sqlx::query_as!(
            IdentitiesStamp,
            "SELECT count(*) AS \"pods!\", coalesce(sum(token_version + generated_version), 0)::bigint AS \"versions!\" \
             FROM pods"
        );
        self.query("identities_stamp", query.fetch_one(&self.pool)).await
    }
}

/// The same within the connection's transaction.
pub(super) async fn allow_removal(
    connection: &mut PgConnection,
    pod: &PodId,
    allowed: Option<&Allowance>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE pods SET removal_allowed_at = $2, removal_revision = $3 WHERE id = $1 AND undeclared_at IS NOT NULL \
         AND (removal_allowed_at, removal_revision) IS DISTINCT FROM ($2, $3)",
        pod.key(),
        allowed.map(|allowed| allowed.at),
        allowed.and_then(|allowed| allowed.revision.as_deref().map(without_nul))
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl From<PodStateRow> for PodState {
    fn from(row: PodStateRow) -> Self {
        let retry = match (row.retry_target, row.retry_failures, row.retry_at, row.retry_why, row.retry_kind) {
            // A target that another version wrote matches nothing here: the pod is tried at once.
            (Some(target), Some(failures), Some(at), Some(why), Some(kind)) => {
                let (target, kind) = (target.parse().ok(), FailureKind::parse(&kind));
                let retry = |(target, kind)| Retry { target, failures: failures.unsigned_abs(), at, why, kind };
                target.zip(kind).map(retry)
            }
            _ => None,
        };
        let digest = Digest::from_label;
        Self {
            retry,
            rejected: row
                .rejected_digest
                .zip(row.rejected_why)
                .map(|(rejected, why)| Rejected { digest: digest(rejected), why }),
            uploaded: row
                .uploaded_container
                .zip(row.uploaded_digest)
                .map(|(container, uploaded)| Uploaded { container, digest: digest(uploaded) }),
            undeclared_since: row.undeclared_at,
            removal_allowed: row.removal_allowed_at.map(|at| Allowance { at, revision: row.removal_revision }),
            subdomain: row.subdomain.parse().ok(),
            volume_since: row.volume_since,
            ..Self::default()
        }
    }
}
