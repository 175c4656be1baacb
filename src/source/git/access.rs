//! The credentials for a remote. They are read again for every fetch, so that a rotated credential takes effect at once,
//! and are sent only to the remote itself.

use std::{fmt, fs, os::unix::fs::MetadataExt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use git2::{Cred, CredentialType};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    address::Transport,
    fetch_error::{DENIED, FetchError},
    settings::GitSettings,
};
use crate::{core::secret::SecretRef, secrets};

/// The user name to send with a token; forges check only the token.
const TOKEN_USER: &str = "x-access-token";

/// The credentials for one fetch.
#[derive(Default)]
pub(super) struct FetchCredentials {
    /// The value of `Authorization` for HTTP, sent with the first request to save a round trip.
    pub(crate) header: Option<Zeroizing<String>>,
    key: Option<SecretString>,
    passphrase: Option<SecretString>,
    /// Every credential, to redact from messages.
    pub(crate) secrets: Vec<SecretString>,
}

impl fmt::Debug for FetchCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchCredentials")
    }
}

impl FetchCredentials {
    /// Reads the credentials that the settings name.
    pub(super) fn read(settings: &GitSettings) -> Result<Self, FetchError> {
        let references = &settings.credentials;
        let mut access = Self::default();
        if settings.address.transport == Transport::Ssh {
            if let Some(file) = references.key.as_ref().and_then(|key| key.file.as_deref()) {
                check_key_mode(file)?;
            }
            access.key = references.key.as_ref().map(credential).transpose()?;
            access.passphrase = references.passphrase.as_ref().map(credential).transpose()?;
            access.secrets.extend(access.passphrase.clone());
        } else if let Some(password) = references.password.as_ref().map(credential).transpose()? {
            let user = references.user.as_deref().unwrap_or(TOKEN_USER);
            let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
            let pair = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
            access.header = Some(Zeroizing::new(format!("Basic {}", pair.as_str())));
            access.secrets.extend([SecretString::from(pair.as_str()), password]);
        }
        Ok(access)
    }

    /// The credential for SSH. `user` is the one in the address.
    pub(super) fn for_ssh(&self, user: Option<&str>, allowed: CredentialType) -> Result<Cred, git2::Error> {
        let user = user.unwrap_or("git");
        if allowed.is_username() {
            return Cred::username(user);
        }
        let Some(key) = &self.key else {
            return Err(git2::Error::from_str("authentication required, and no --git-ssh-key is given"));
        };
        // Reading a secret drops the final line end, which a key file needs.
        let key = Zeroizing::new(format!("{}\n", key.expose_secret()));
        Cred::ssh_key_from_memory(user, None, &key, self.passphrase.as_ref().map(ExposeSecret::expose_secret))
    }
}

/// Refuses a private key of ours that others on this machine can read, as OpenSSH does. A missing file is reported where it
/// is read; one of another owner, like a mounted secret, is that owner's business.
fn check_key_mode(file: &str) -> Result<(), FetchError> {
    let Ok(found) = fs::metadata(file) else { return Ok(()) };
    let others = found.mode() & 0o077;
    if found.uid() != rustix::process::geteuid().as_raw() || others == 0 {
        return Ok(());
    }
    let what = format!("the key {file} can be read by others on this machine (mode {:04o})", found.mode() & 0o777);
    let hint = format!("run: chmod 600 {file}; then consider replacing the key, since somebody may have copied it");
    Err(FetchError::new(DENIED, what, hint))
}

fn credential(reference: &SecretRef) -> Result<SecretString, FetchError> {
    secrets::resolve(reference).map_err(|error| {
        FetchError::new(DENIED, format!("the credential in {reference}: {error}"), "it is read again for every fetch")
    })
}
