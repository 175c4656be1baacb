//! Passwords: hashed with Argon2id, and compared, always off the threads that serve, and few at a time: each takes 19 MiB
//! and tens of milliseconds by intention. Also makes the ids and tokens that stand in for a password. Keeps nothing.

use std::{fmt, sync::Arc, time::Duration};

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// How many are worked on at a time.
const AT_ONCE: usize = 2;
/// How many wait at most.
const WAITING: usize = 16;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// The fewest characters of a password.
pub const FEWEST: usize = 12;
/// The most bytes of a password.
pub const MOST: usize = 1024;
/// Compared with when there is no such account or it has no password, so that the answer takes as long. Made with the
/// parameters that hashes are made with; nobody has its password.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YWdlbnRwb2Qtbm9ib2R5cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Too many passwords are being looked at; again in a few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySignIns;

impl fmt::Display for TooManySignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many people sign in at this moment; try again in a few seconds")
    }
}

/// Where passwords are hashed and compared.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl Passwords {
    /// The hash to keep, with its salt and parameters.
    pub async fn hash(&self, password: SecretString) -> Result<String, TooManySignIns> {
        self.work(move || {
            let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| {
            tracing::error!("a password could not be hashed: {error}");
            TooManySignIns
        })
    }

    /// Whether a password is the one a hash was made of; never for no hash, and no sooner.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, TooManySignIns> {
        self.work(move || {
            let is_there = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODYS);
            let is_right = match PasswordHash::new(hash) {
                Ok(hash) => Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok(),
                Err(error) => {
                    tracing::error!("a password's hash in the database is damaged: {error}; set the password anew");
                    false
                }
            };
            is_there && is_right
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, TooManySignIns> {
        let _place = self.places.try_acquire().map_err(|_| TooManySignIns)?;
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| TooManySignIns)?.map_err(|_| TooManySignIns)?;
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is over, also when nobody waits for it any more.
            let _turn = turn;
            work()
        });
        work.await.map_err(|_| TooManySignIns)
    }
}

/// An id or token that nobody guesses: 256 random bits as text. `None` if the system gives none.
pub fn new_secret() -> Option<SecretString> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// Whether a password may be chosen.
pub fn check(password: &SecretString) -> Result<(), String> {
    let password = password.expose_secret();
    if password.chars().count() < FEWEST {
        return Err(format!("the password has fewer than {FEWEST} characters; a few words in a row make a good one"));
    }
    if password.len() > MOST {
        return Err(format!("the password has more than {MOST} bytes"));
    }
    if password.chars().any(char::is_control) {
        return Err("the password has a line end or another control character in it".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_is_right_and_no_hash_is_never_right() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterz".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("x".into(), None).await.unwrap());
        assert!(!passwords.verify("x".into(), Some("damaged".into())).await.unwrap());
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_anybodys() {
        let nobody = PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&nobody).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST)
        );
    }

    #[tokio::test]
    async fn more_than_can_wait_are_sent_away_at_once() {
        let passwords = Passwords::default();
        let _turns = passwords.turns.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let _places = passwords.places.acquire_many((AT_ONCE + WAITING) as u32).await.unwrap();
        assert_eq!(passwords.verify("x".into(), None).await, Err(TooManySignIns));
    }
}
