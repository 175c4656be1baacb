//! Hashes and verifies passwords with Argon2id, off the threads that serve requests and few at a time: each takes 19 MiB and
//! tens of milliseconds by design. Also creates session IDs and tokens. Stores nothing.

use std::{sync::Arc, time::Duration};

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// How many passwords are processed at a time.
const CONCURRENCY: usize = 2;
/// How many may wait for their turn.
const QUEUE_LENGTH: usize = 16;
/// How long one may wait for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// The fewest characters a password may have.
pub(crate) const MIN_CHARACTERS: usize = 12;
/// The most bytes a password may have.
pub(crate) const MAX_BYTES: usize = 1024;
/// The hash to verify against if an account does not exist or has no password, so that the answer takes as long. It has
/// the parameters of every other hash, and no password matches it.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YWdlbnRwb2Qtbm9ib2R5cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Too many passwords are being processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people are signing in; try again in a few seconds")]
pub struct TooManySignIns;

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeakPassword {
    /// It has too few characters.
    #[error("the password has fewer than {MIN_CHARACTERS} characters; a few words in a row make a good one")]
    TooShort,
    /// It has too many bytes.
    #[error("the password has more than {MAX_BYTES} bytes")]
    TooLong,
    /// It has a line end or another control character in it.
    #[error("the password contains a line end or another control character")]
    ControlCharacter,
}

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(CONCURRENCY)),
            queue: Arc::new(Semaphore::new(CONCURRENCY + QUEUE_LENGTH)),
        }
    }
}

impl Passwords {
    /// The hash to store, with its salt and parameters.
    pub async fn hash(&self, password: SecretString) -> Result<String, TooManySignIns> {
        self.run(move || {
            let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| {
            tracing::error!("cannot hash a password: {error}");
            TooManySignIns
        })
    }

    /// Whether a password matches a hash. Without a hash it never does, and takes as long.
    pub(crate) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, TooManySignIns> {
        self.run(move || {
            let exists = hash.is_some();
            let hash = hash.as_deref().unwrap_or(DUMMY_HASH);
            let matches = match PasswordHash::new(hash) {
                Ok(hash) => Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok(),
                Err(error) => {
                    tracing::error!(
                        "the hash of a password in the database is damaged: {error}; set the password again"
                    );
                    false
                }
            };
            exists && matches
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, TooManySignIns> {
        let _queued = self.queue.try_acquire().map_err(|_| TooManySignIns)?;
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| TooManySignIns)?.map_err(|_| TooManySignIns)?;
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the caller has gone.
            let _turn = turn;
            work()
        });
        work.await.map_err(|_| TooManySignIns)
    }
}

/// A new session ID or token: 256 random bits as text. `None` if the system has no random bytes.
pub(crate) fn new_secret() -> Option<SecretString> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// Checks a password that is to be set.
pub(crate) fn validate(password: &SecretString) -> Result<(), WeakPassword> {
    let password = password.expose_secret();
    if password.chars().count() < MIN_CHARACTERS {
        return Err(WeakPassword::TooShort);
    }
    if password.len() > MAX_BYTES {
        return Err(WeakPassword::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(WeakPassword::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches_and_a_missing_hash_never_does() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterz".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("x".into(), None).await.unwrap());
        assert!(!passwords.verify("x".into(), Some("damaged".into())).await.unwrap());
    }

    #[test]
    fn the_dummy_hash_costs_as_much_as_any_other() {
        let dummy = PasswordHash::new(DUMMY_HASH).unwrap();
        let params = Params::try_from(&dummy).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST)
        );
    }

    #[tokio::test]
    async fn more_than_fit_in_the_queue_are_refused_at_once() {
        let passwords = Passwords::default();
        let _turns = passwords.turns.clone().acquire_many_owned(CONCURRENCY as u32).await.unwrap();
        let _queue = passwords.queue.acquire_many((CONCURRENCY + QUEUE_LENGTH) as u32).await.unwrap();
        assert_eq!(passwords.verify("x".into(), None).await, Err(TooManySignIns));
    }
}
