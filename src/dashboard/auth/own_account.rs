//! What people do with their own account while they are signed in: change its password, make and revoke its API tokens.

use std::{net::IpAddr, sync::PoisonError};

use secrecy::{ExposeSecret, SecretString};
use time::Duration;

use super::Auth;
use crate::{dashboard::refusal::Refusal, passwords};

/// The longest that a token made on the dashboard is valid.
const LONGEST: Duration = Duration::days(366);
/// The most characters of what a token is for.
const MAX_PURPOSE: usize = 100;

impl Auth {
    /// Changes somebody's own password, for which they need the current one. Ends all their sessions.
    pub(in crate::dashboard) async fn change_password(
        &self,
        name: &str,
        current: SecretString,
        new: SecretString,
        client: IpAddr,
    ) -> Result<(), Refusal> {
        passwords::validate(&new).map_err(|weak| Refusal::bad_request(weak.to_string()))?;
        let now = (self.clock)();
        let throttle = || self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        if throttle().attempt(name, client, now).is_err() {
            return Err(Refusal::conflict("too many attempts; wait some minutes, then try again"));
        }
        let hash = self.store.account(name).await?.and_then(|stored| stored.password_hash);
        let busy = |busy: passwords::TooManySignIns| {
            throttle().take_back(name, client);
            Refusal::unavailable(busy.to_string())
        };
        if !self.passwords.verify(current, hash).await.map_err(busy)? {
            return Err(Refusal::bad_request("the current password is wrong"));
        }
        throttle().succeeded(name, client);
        let hash = self.passwords.hash(new).await.map_err(busy)?;
        self.store.set_password(name, &hash, name, now).await?;
        Ok(())
    }

    /// Makes an API token of somebody's own account, which is shown once.
    pub(in crate::dashboard) async fn add_own_token(
        &self,
        name: &str,
        purpose: &str,
        valid_for: Duration,
    ) -> Result<SecretString, Refusal> {
        if purpose.chars().count() > MAX_PURPOSE || purpose.chars().any(char::is_control) {
            return Err(Refusal::bad_request("say in at most 100 characters what the token is for"));
        }
        if !(Duration::HOUR..=LONGEST).contains(&valid_for) {
            return Err(Refusal::bad_request("a token is valid for an hour at least, and for a year at most"));
        }
        let secret = passwords::new_secret().ok_or_else(Refusal::internal)?;
        let token = SecretString::from(format!("agp_{}", secret.expose_secret()));
        let now = (self.clock)();
        let id = self.store.add_api_token(&token, name, purpose, Some(now + valid_for), name, now).await?;
        id.map(|_| token).ok_or_else(|| Refusal::not_found(format!("there is no account {name}")))
    }

    /// Revokes an API token of somebody's own account.
    pub(in crate::dashboard) async fn revoke_own_token(&self, name: &str, id: i64) -> Result<(), Refusal> {
        let own = self.store.api_tokens(Some(name)).await?;
        if !own.iter().any(|token| token.id == id) {
            return Err(Refusal::not_found(format!("{name} has no API token {id}")));
        }
        self.store.revoke_api_token(id, name, (self.clock)()).await?;
        Ok(())
    }
}
