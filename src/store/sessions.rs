//! Sessions and API tokens: what lets somebody in again without a password. Only SHA-256 hashes stand in the rows, so
//! that whoever reads the database gets in nowhere. Lookups write at most once a minute.

use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use time::{Duration, OffsetDateTime};

use super::{
    Store,
    accounts::{by, person},
    error::Result,
    events::{self, Event},
};
use crate::core::{access::Person, event::EventKind};

/// How exactly it is kept when something was used last.
const NOTED: Duration = Duration::minutes(1);
/// How many sessions an account may have; the oldest goes for one more.
const SESSIONS: i64 = 50;

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Without being used.
    pub idle: Duration,
    /// However much they are used.
    pub whole: Duration,
}

/// An API token as it is kept; the token itself is not.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiToken {
    /// What to revoke it by.
    pub id: i64,
    /// Whose.
    pub account: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is no good.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last, to a minute.
    pub last_used: Option<OffsetDateTime>,
}

impl Store {
    /// Keeps a session, says that somebody signed in, and forgets those that are over. No if the account went meanwhile.
    pub async fn begin_session(
        &self,
        id: &SecretString,
        account: &str,
        lifetime: Lifetime,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<bool> {
        self.run("begin_session", async {
            let mut transaction = self.pool.begin().await?;
            let begun = sqlx::query!(
                "INSERT INTO sessions (id_hash, account, created_at, last_seen, expires_at)
                 SELECT $1, name, $3, $3, $4 FROM accounts WHERE name = $2 AND disabled_at IS NULL FOR SHARE",
                hash(id),
                account,
                now,
                now + lifetime.whole
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
                SESSIONS
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

    /// Whose session it is, if it is not over and the account lets people in.
    pub async fn session(&self, id: &SecretString, lifetime: Lifetime, now: OffsetDateTime) -> Result<Option<Person>> {
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
            if row.is_to_be_noted(now) {
                let query = sqlx::query!("UPDATE sessions SET last_seen = $2 WHERE id_hash = $1", hash, now);
                query.execute(&self.pool).await?;
            }
            row.person().map(Some)
        })
        .await
    }

    /// Ends a session; one that is over is ended already.
    pub async fn end_session(&self, id: &SecretString) -> Result<()> {
        let query = sqlx::query!("DELETE FROM sessions WHERE id_hash = $1", hash(id));
        self.run("end_session", async {
            query.execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Keeps an API token of an account, and answers what to revoke it by; `None` if there is no such account.
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
            let mut transaction = self.pool.begin().await?;
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
                events::record(&mut transaction, &by(event, actor), now).await?;
            }
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    /// Whose API token it is, if it is still good and the account lets people in.
    pub async fn api_token(&self, token: &SecretString, now: OffsetDateTime) -> Result<Option<Person>> {
        self.run("api_token", async {
            let hash = hash(token);
            let row = sqlx::query_as!(TokenRow, "SELECT accounts.name, role, tenant, last_used AS used FROM api_tokens JOIN accounts ON accounts.name = account
                 WHERE hash = $1 AND disabled_at IS NULL AND (expires_at IS NULL OR expires_at > $2)", &hash, now)
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else { return Ok(None) };
            if row.is_to_be_noted(now) {
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
            "SELECT id, account, name, created_at, expires_at, last_used FROM api_tokens WHERE $1::text IS NULL OR account = $1 ORDER BY id",
            account
        );
        self.query("api_tokens", query.fetch_all(&self.pool)).await
    }

    /// Makes an API token no good; answers whose it was, or `None` if there is none of that number.
    pub async fn revoke_api_token(&self, id: i64, actor: &str, now: OffsetDateTime) -> Result<Option<String>> {
        self.run("revoke_api_token", async {
            let mut transaction = self.pool.begin().await?;
            let account = sqlx::query_scalar!("DELETE FROM api_tokens WHERE id = $1 RETURNING account", id)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(account) = &account {
                let message = format!("API token number {id} of account {account} was revoked");
                events::record(&mut transaction, &by(Event::of_none(EventKind::ApiTokenRevoked, message), actor), now)
                    .await?;
            }
            transaction.commit().await?;
            Ok(account)
        })
        .await
    }
}

/// The hash that stands for an id or token of 256 random bits: too many to be guessed, so no salt and no slowness is needed.
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
    fn is_to_be_noted(&self, now: OffsetDateTime) -> bool {
        self.used.is_none_or(|used| now >= used + NOTED)
    }

    fn person(self) -> Result<Person> {
        person(self.name, &self.role, self.tenant)
    }
}
