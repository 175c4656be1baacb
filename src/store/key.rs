//! The instance key: seals what is stored and must not be readable in the database. It lives in one file outside the
//! database. Losing it loses the gateway tokens, so nothing here ever creates a key where there was one.

use std::{
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::error::{Result, StoreError};
use crate::private_file::{self, UnusableFile};

/// The file's name in the state folder, by default.
pub const KEY_FILE: &str = "instance.key";
/// The version of the sealed format.
const VERSION: &str = "v1:";
/// Bytes of a key and of a gateway token.
const KEY_LEN: usize = 32;
/// The most bytes of a key file that are read.
const MAX_FILE_SIZE: usize = 1024;

/// The key that seals values.
#[derive(Clone)]
pub struct InstanceKey {
    key: LessSafeKey,
    path: PathBuf,
}

/// A sealed text that this key does not open: another key, another context, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsealError;

impl InstanceKey {
    /// Reads the key in a state folder, or creates one if there is none yet. A file that others could read is refused.
    pub fn load_or_create(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(KEY_FILE);
        match Self::load(&path)? {
            Some(key) => Ok(key),
            None => Self::create(&path),
        }
    }

    /// Reads the key in a file, if there is such a file. One that others could read is refused.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let fail = |what: String| StoreError::KeyFile { path: path.into(), what };
        let text = match private_file::read(path, MAX_FILE_SIZE) {
            Ok(text) => text,
            Err(UnusableFile::Missing) => return Ok(None),
            Err(why) => return Err(fail(format!("the instance key cannot be used: {why}"))),
        };
        let bytes = hex::decode(text.trim_end()).ok().map(Zeroizing::new).filter(|bytes| bytes.len() == KEY_LEN);
        let bytes = bytes.ok_or_else(|| {
            fail(format!(
                "this is not an instance key: it must have {} hex digits and has {} characters; restore it from a backup",
                KEY_LEN * 2,
                text.trim_end().len()
            ))
        })?;
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| fail("this is not an instance key".into()))?;
        Ok(Some(Self { key: LessSafeKey::new(key), path: path.into() }))
    }

    /// Creates a file with a new key. If another process was first, its key is used.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |what: String| StoreError::KeyFile { path: path.into(), what };
        let text = Zeroizing::new(format!("{}\n", random_text()?.expose_secret()));
        match private_file::create(path, &text) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(fail(format!("the instance key cannot be created: {error}")));
            }
            _ => {}
        }
        Self::load(path)?.ok_or_else(|| fail("the instance key was created and has disappeared".into()))
    }

    /// The same key in another file.
    pub(super) fn moved(self, path: &Path) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seals a text so that only this key opens it, and only for the same `context`: a sealed text copied to another
    /// row does not open there.
    pub fn seal(&self, plaintext: &SecretString, context: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| no_randomness())?;
        let mut sealed = plaintext.expose_secret().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| StoreError::Other("the text is too long to seal".into()))?;
        Ok(format!("{VERSION}{}{}", hex::encode(nonce), hex::encode(&sealed)))
    }

    /// Opens what [`InstanceKey::seal`] sealed for the same context.
    pub fn open_sealed(&self, sealed: &str, context: &str) -> Result<SecretString, UnsealError> {
        let mut bytes = sealed.strip_prefix(VERSION).and_then(|hex| hex::decode(hex).ok()).ok_or(UnsealError)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(UnsealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError)?;
        let plain = self.key.open_in_place(nonce, Aad::from(context), sealed).map_err(|_| UnsealError)?;
        let text = std::str::from_utf8(plain).map_err(|_| UnsealError)?;
        Ok(text.to_owned().into())
    }
}

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({})", self.path.display())
    }
}

/// Keys the fingerprints of secrets. Created with the database and stored in it, sealed, so that another instance key
/// changes no fingerprint and therefore replaces no container.
#[derive(Clone)]
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    pub(super) fn from_text(text: &SecretString) -> Option<Self> {
        let bytes = hex::decode(text.expose_secret()).ok().filter(|bytes| bytes.len() == KEY_LEN)?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The same for the same value; the value cannot be derived from it.
    pub(crate) fn fingerprint(&self, value: &SecretString) -> String {
        hex::encode(hmac::sign(&self.0, value.expose_secret().as_bytes()))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// Thirty-two random bytes in hex: a token, or a key.
pub(super) fn random_text() -> Result<SecretString> {
    let mut bytes = [0; KEY_LEN];
    SystemRandom::new().fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(hex::encode(bytes).into())
}

fn no_randomness() -> StoreError {
    StoreError::Other("the system returned no random bytes".into())
}
