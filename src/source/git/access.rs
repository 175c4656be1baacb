//! What a remote is shown so that it lets us in. Read from its places anew for each fetch, so that a rotated credential
//! counts at once; leaves this machine only in a request to the remote itself.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use git2::{Cred, CredentialType};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    address::Way,
    fetch_error::{DENIED, FetchError},
    settings::GitSettings,
};
use crate::{core::secret::SecretRef, secrets};

/// Who a token belongs to where nobody says it: forges look at the token alone.
const TOKEN_USER: &str = "x-access-token";

/// The credentials for one fetch.
#[derive(Default)]
pub(super) struct FetchCredentials {
    /// The header for HTTP. Sent with the first request: asking without it first would cost a request each time.
    pub header: Option<Zeroizing<String>>,
    key: Option<SecretString>,
    passphrase: Option<SecretString>,
    /// All of it, to be kept out of what is said.
    pub secrets: Vec<SecretString>,
}

impl fmt::Debug for FetchCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl FetchCredentials {
    /// Reads what the settings name.
    pub(super) fn read(settings: &GitSettings) -> Result<Self, FetchError> {
        let places = &settings.credentials;
        let mut access = Self::default();
        if settings.address.way == Way::Ssh {
            access.key = places.key.as_ref().map(credential).transpose()?;
            access.passphrase = places.passphrase.as_ref().map(credential).transpose()?;
            access.secrets.extend(access.passphrase.clone());
        } else if let Some(password) = places.password.as_ref().map(credential).transpose()? {
            let user = places.user.as_deref().unwrap_or(TOKEN_USER);
            let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
            let pair = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
            access.header = Some(Zeroizing::new(format!("Authorization: Basic {}", pair.as_str())));
            access.secrets.extend([SecretString::from(pair.as_str()), password]);
        }
        Ok(access)
    }

    /// What SSH is shown. `user` is the one in the address.
    pub(super) fn for_ssh(&self, user: Option<&str>, asked: CredentialType) -> Result<Cred, git2::Error> {
        let user = user.unwrap_or("git");
        if asked.is_username() {
            return Cred::username(user);
        }
        let Some(key) = &self.key else {
            return Err(git2::Error::from_str("authentication required, and no --git-ssh-key is given"));
        };
        // Reading takes one line end away, and a key without its last one is no key.
        let key = Zeroizing::new(format!("{}\n", key.expose_secret()));
        Cred::ssh_key_from_memory(user, None, &key, self.passphrase.as_ref().map(ExposeSecret::expose_secret))
    }
}

fn credential(reference: &SecretRef) -> Result<SecretString, FetchError> {
    secrets::resolve(reference).map_err(|error| {
        FetchError::known(DENIED, format!("the credential in {reference}: {error}"), "it is read again for every fetch")
    })
}
