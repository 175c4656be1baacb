//! The instance key: seals what has to be kept and must not be read in the database. It lives in one file beside the
//! database and never in it. Losing it loses the gateway tokens, so nothing here ever makes a new one where one was.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};

use super::error::{Result, StoreError};

/// The file's name, in the state folder.
pub const KEY_FILE: &str = "instance.key";
/// The form of sealed texts; another form gets another number.
const VERSION: &str = "v1:";
/// Bytes of a key and of a gateway token.
const KEY_LEN: usize = 32;

/// The key that seals what is kept.
#[derive(Clone)]
pub struct InstanceKey {
    key: LessSafeKey,
    path: PathBuf,
}

/// A sealed text that this key does not open: another key, another context, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOpened;

impl InstanceKey {
    /// Reads the key in a state folder, or makes one if there is none yet. One that others could read is refused.
    pub fn load_or_create(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(KEY_FILE);
        let fail = |what: String| StoreError::KeyFile { path: path.clone(), what };
        let cannot =
            |doing: &'static str| move |error: std::io::Error| format!("the instance key cannot be {doing}: {error}");
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(state_dir, &path).map_err(cannot("made")).map_err(fail)?;
                File::open(&path)
            }
            answer => answer,
        }
        .map_err(cannot("read"))
        .map_err(fail)?;

        let mode = file.metadata().map_err(cannot("read")).map_err(fail)?.mode() & 0o7777;
        if mode & !0o600 != 0 {
            return Err(fail(format!(
                "its permissions are {mode:04o}, so others may have read the instance key; chmod 0600 it"
            )));
        }
        let mut text = SecretText::default();
        (&file).take(1024).read_to_string(&mut text.0).map_err(cannot("read")).map_err(fail)?;
        let bytes = from_hex(text.0.trim_end()).filter(|bytes| bytes.len() == KEY_LEN).ok_or_else(|| {
            let length = text.0.trim_end().len();
            fail(format!("this is no instance key: it must be {} hex digits and has {length} characters; restore it from a backup", KEY_LEN * 2))
        })?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| fail("this is no instance key".into()))?;
        Ok(Self { key: LessSafeKey::new(key), path })
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seals a text so that only this key opens it, and only for the same `context`: a sealed text moved to another
    /// row does not open there.
    pub fn seal(&self, plaintext: &SecretString, context: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| no_randomness())?;
        let mut sealed = plaintext.expose_secret().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| StoreError::Other("a text is too long to seal".into()))?;
        Ok(format!("{VERSION}{}{}", to_hex(&nonce), to_hex(&sealed)))
    }

    /// Opens what [`InstanceKey::seal`] sealed for the same context.
    pub fn open_sealed(&self, sealed: &str, context: &str) -> Result<SecretString, NotOpened> {
        let mut bytes = sealed.strip_prefix(VERSION).and_then(from_hex).ok_or(NotOpened)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
        let plain = self.key.open_in_place(nonce, Aad::from(context), sealed).map_err(|_| NotOpened)?;
        let text = std::str::from_utf8(plain).map_err(|_| NotOpened)?;
        Ok(text.to_owned().into())
    }
}

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({})", self.path.display())
    }
}

/// Keys the fingerprints of secrets. Made with the database and kept in it, sealed, so that another instance key
/// changes no fingerprint and hence replaces no container.
#[derive(Clone)]
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    pub(super) fn from_text(text: &SecretString) -> Option<Self> {
        let bytes = from_hex(text.expose_secret()).filter(|bytes| bytes.len() == KEY_LEN)?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The same for the same value, and nothing leads back to it.
    pub fn fingerprint(&self, value: &SecretString) -> String {
        to_hex(hmac::sign(&self.0, value.expose_secret().as_bytes()).as_ref())
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
    Ok(to_hex(&bytes).into())
}

/// Writes a new key beside its place and then links it there: the link fails if there is one, and a crash in between
/// leaves no half-written key.
fn create(state_dir: &Path, path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let text = random_text().map_err(std::io::Error::other)?;
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| std::io::Error::other(no_randomness()))?;
    let draft = state_dir.join(format!("{KEY_FILE}.{}", to_hex(&suffix)));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        writeln!(file, "{}", text.expose_secret())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    match written {
        // Another process was first: its key is the key.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        written => written?,
    }
    removed?;
    File::open(state_dir)?.sync_all()
}

/// Wipes what it holds.
#[derive(Default)]
struct SecretText(String);

impl Drop for SecretText {
    fn drop(&mut self) {
        secrecy::zeroize::Zeroize::zeroize(&mut self.0);
    }
}

fn no_randomness() -> StoreError {
    StoreError::Other("the system gave no random bytes".into())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
