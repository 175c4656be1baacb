//! Sessions and API tokens: credentials that replace a password. Rows hold SHA-256 hashes only, so reading the database
//! lets nobody in. Lookups write at most once a minute.

use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use time::{Duration, OffsetDateTime};

use super::{
    Store,
    accounts::{person, requested_by},
    error::Result,
    events::{self, Event},
};
use crate::core::{access::Person, event::EventKind};

/// How exactly the time of last use is stored.
const USE_PRECISION: Duration = Duration::minutes(1);
/// How many sessions an account may have; one more ends the oldest.
const SESSIONS_KEPT: i64 = 50;

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Unused.
    pub(crate) idle: Duration,
    /// In total.
    pub(crate) total: Duration,
}

/// An API token's row; the token itself is not stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiToken {
    /// The number to revoke it by.
    pub(crate) id: i64,
    /// Its account.
    pub(crate) account: String,
    /// What it is for.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created_at: OffsetDateTime,
    /// When it expires.
    pub(crate) expires_at: Option<OffsetDateTime>,
    /// When it was last used, to a minute.
    pub last_used: Option<OffsetDateTime>,
}

impl Store {
    /// Stores a session, records the sign-in, and deletes expired ones. `false` if the account was removed or disabled
    /// meanwhile.
    pub async fn begin_session(
        &self,
        id: &SecretString,
        account: &str,
        lifetime: Lifetime,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<bool> {
        self.run("begin_session", async {
            let mut transaction = self.begin().await?;
            let begun = sqlx::query!(
                "INSERT INTO sessions (id_hash, account, created_at, last_seen, expires_at)
                 SELECT $1, name, $3, $3, $4 FROM accounts WHERE name = $2 AND disabled_at IS NULL FOR SHARE",
                hash(id),
                account,
                now,
                now + lifetime.total
            )
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            sqlx::query!("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen <= $2", now, now - lifetime.idle)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!(
                "DELETE FROM sessions WHERE id_hash IN
                   (SELECT id_hash FROM sessions WHERE account = $1 ORDER BY created_at DESC, id_hash OFFSET $2)",
                account,
                SESSIONS_KEPT
            )
            .execute(&mut *transaction)
            .await?;
            if begun > 0 {
                events::record(&mut transaction, event, now).await?;
            }
            transaction.commit().await?;
            Ok(begun > 0)
        })
        .await
    }

    /// Whose session it is, if it has not expired and the account can be used.
    pub(crate) async fn session(
        &self,
        id: &SecretString,
        lifetime: Lifetime,
        now: OffsetDateTime,
    ) -> Result<Option<Person>> {
        self.run("session", async {
            let hash = hash(id);
            let row = sqlx::query_as!(
                TokenRow,
                "SELECT name, role, tenant, last_seen AS \"used?\" FROM sessions JOIN accounts ON name = account
                 WHERE id_hash = $1 AND disabled_at IS NULL AND expires_at > $2 AND last_seen > $3",
                &hash,
                now,
                now - lifetime.idle
            )
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else { return Ok(None) };
            if row.needs_update(now) {
                let query = sqlx::query!("UPDATE sessions SET last_seen = $2 WHERE id_hash = $1", hash, now);
                query.execute(&self.pool).await?;
            }
            row.person().map(Some)
        })
        .await
    }

    /// Ends a session; one that has expired is ended already.
    pub(crate) async fn end_session(&self, id: &SecretString) -> Result<()> {
        let query = sqlx::query!("DELETE FROM sessions WHERE id_hash = $1", hash(id));
        self.run("end_session", async {
            query.execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Stores an API token of an account, and returns its number; `None` if there is no such account.
    pub async fn add_api_token(
        &self,
        token: &SecretString,
        account: &str,
        name: &str,
        expires_at: Option<OffsetDateTime>,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Option<i64>> {
        self.run("add_api_token", async {
            let mut transaction = self.begin().await?;
            let id = sqlx::query_scalar!(
                "INSERT INTO api_tokens (hash, account, name, created_at, expires_at)
                 SELECT $1, accounts.name, $3, $4, $5 FROM accounts WHERE accounts.name = $2 FOR SHARE RETURNING id",
                hash(token),
                account,
                name,
                now,
                expires_at
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(id) = id {
                let event = Event::of_none(
                    EventKind::ApiTokenCreated,
                    format!("account {account} has a new API token, number {id}"),
                );
                events::record(&mut transaction, &requested_by(event, actor), now).await?;
            }
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    /// Whose API token it is, if it has not expired and the account can be used.
    pub(crate) async fn api_token(&self, token: &SecretString, now: OffsetDateTime) -> Result<Option<Person>> {
        self.run("api_token", async {
            let hash = hash(token);
            let row = sqlx::query_as!(
                TokenRow,
                "SELECT accounts.name, role, tenant, last_used AS used FROM api_tokens JOIN accounts ON \
                 accounts.name = account
                 WHERE hash = $1 AND disabled_at IS NULL AND \
                 (expires_at IS NULL OR expires_at > $2)",
                &hash,
                now
            )
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else { return Ok(None) };
            if row.needs_update(now) {
                let query = sqlx::query!("UPDATE api_tokens SET last_used = $2 WHERE hash = $1", hash, now);
                query.execute(&self.pool).await?;
            }
            row.person().map(Some)
        })
        .await
    }

    /// Every API token, or those of one account.
    pub async fn api_tokens(&self, account: Option<&str>) -> Result<Vec<ApiToken>> {
        let query = sqlx::query_as!(
            ApiToken,
            "SELECT id, account, name, created_at, expires_at, last_used FROM api_tokens \
             WHERE $1::text IS NULL OR account = $1 ORDER BY id",
            account
        );
        self.query("api_tokens", query.fetch_all(&self.pool)).await
    }

    /// Revokes an API token; returns its account, or `None` if there is no such token.
    pub async fn revoke_api_token(&self, id: i64, actor: &str, now: OffsetDateTime) -> Result<Option<String>> {
        self.run("revoke_api_token", async {
            let mut transaction = self.begin().await?;
            let account = sqlx::query_scalar!("DELETE FROM api_tokens WHERE id = $1 RETURNING account", id)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(account) = &account {
                let message = format!("API token number {id} of account {account} was revoked");
                events::record(
                    &mut transaction,
                    &requested_by(Event::of_none(EventKind::ApiTokenRevoked, message), actor),
                    now,
                )
                .await?;
            }
            transaction.commit().await?;
            Ok(account)
        })
        .await
    }
}

/// The hash of an ID or token of 256 random bits: it cannot be guessed, so it needs neither a salt nor a slow hash.
fn hash(secret: &SecretString) -> Vec<u8> {
    digest(&SHA256, secret.expose_secret().as_bytes()).as_ref().to_vec()
}

struct TokenRow {
    name: String,
    role: String,
    tenant: Option<String>,
    used: Option<OffsetDateTime>,
}

impl TokenRow {
    fn needs_update(&self, now: OffsetDateTime) -> bool {
        self.used.is_none_or(|used| now >= used + USE_PRECISION)
    }

    fn person(self) -> Result<Person> {
        person(self.name, &self.role, self.tenant)
    }
}
