//! Secrets encrypted with age: identities from files, decryption and encryption. No message quotes an identity or a
//! value; recipients are public.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use age::{
    DecryptError, Decryptor, Encryptor,
    armor::{ArmoredWriter, Format},
    x25519::{Identity, Recipient},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{LONGEST_UNSEEN, MAX_BYTES};
use crate::{
    core::{digest::Digest, secret::SecretError},
    private_file::{self, UnusableFile},
};

/// The most bytes an identity file may have.
const MAX_FILE_BYTES: usize = 64 << 10;

/// The identities in some files, as they were last read.
#[derive(Default)]
pub struct Identities {
    files: Vec<PathBuf>,
    /// The digest of the files' contents.
    digest: Option<Digest>,
    keys: Vec<Identity>,
    /// Why each file that cannot be used cannot.
    unusable: Vec<String>,
}

impl Identities {
    /// The identities in these files, which are not read yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// Reads the files again and returns whether anything changed.
    pub(crate) fn reload(&mut self) -> bool {
        let texts: Vec<_> = self.files.iter().map(|file| (file, private_file::read(file, MAX_FILE_BYTES))).collect();
        let mut all = Zeroizing::new(Vec::new());
        for (_, text) in &texts {
            match text {
                Ok(text) => all.extend_from_slice(text.as_bytes()),
                Err(error) => all.extend_from_slice(error.to_string().as_bytes()),
            }
            all.push(0);
        }
        let digest = Digest::of_bytes(&all);
        if self.digest.as_ref() == Some(&digest) {
            return false;
        }
        (self.digest, self.keys, self.unusable) = (Some(digest), Vec::new(), Vec::new());
        for (file, text) in texts {
            let keys = text.map_err(IdentityError::from).and_then(|text| parse(&text));
            match keys {
                Ok(keys) => self.keys.extend(keys),
                Err(error) => self.unusable.push(format!("{}: {error}", file.display())),
            }
        }
        true
    }

    /// The recipients of these identities.
    pub(crate) fn recipients(&self) -> Vec<Recipient> {
        self.keys.iter().map(Identity::to_public).collect()
    }

    /// Why files cannot be used, one message for each.
    pub(crate) fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// Decrypts an age file.
    pub(crate) fn decrypt(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let decryptor = Decryptor::new_buffered(file).map_err(|_| SecretError::Damaged)?;
        let reader = match decryptor.decrypt(self.keys.iter().map(|key| key as &dyn age::Identity)) {
            Ok(reader) => reader,
            Err(DecryptError::NoMatchingKeys) => return Err(self.no_match()),
            Err(_) => return Err(SecretError::Damaged),
        };
        // Full capacity from the start: a buffer that grows leaves copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity((MAX_BYTES + LONGEST_UNSEEN) as usize));
        reader.take(MAX_BYTES + LONGEST_UNSEEN).read_to_end(&mut value).map_err(|_| SecretError::Damaged)?;
        Ok(value)
    }

    fn no_match(&self) -> SecretError {
        let unusable = self.unusable.join("; ");
        let recipients: Vec<String> = self.recipients().iter().map(ToString::to_string).collect();
        match (recipients.is_empty(), unusable.is_empty()) {
            (true, true) => SecretError::NoIdentity("name its file with --age-identity".into()),
            (true, false) => SecretError::NoIdentity(unusable),
            (false, _) => SecretError::OtherRecipient {
                recipients: recipients.join(" and "),
                unusable: if unusable.is_empty() { String::new() } else { format!(" (unusable: {unusable})") },
            },
        }
    }
}

/// Why a file of identities cannot be used.
#[derive(Debug, thiserror::Error)]
enum IdentityError {
    #[error("there is no such file; create one with agentpod secret keygen, or name another with --age-identity")]
    Missing,
    #[error(transparent)]
    File(UnusableFile),
    #[error("line {0} is not an age identity, which starts with AGE-SECRET-KEY-1")]
    BadLine(usize),
    #[error("it contains no age identity")]
    Empty,
}

impl From<UnusableFile> for IdentityError {
    fn from(error: UnusableFile) -> Self {
        match error {
            UnusableFile::Missing => Self::Missing,
            error => Self::File(error),
        }
    }
}

fn parse(text: &str) -> Result<Vec<Identity>, IdentityError> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let keys: Vec<Identity> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| line.parse().map_err(|_| IdentityError::BadLine(number)))
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(IdentityError::Empty) } else { Ok(keys) }
}

/// Why an identity or a recipient cannot be created or read, or a value not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    /// The file for a new identity exists already.
    #[error("{} exists already and was not changed; name another file", .0.display())]
    Exists(PathBuf),
    /// The file for a new identity cannot be created.
    #[error("{} cannot be created: {error}", .path.display())]
    NotCreated {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// An identity was given as a recipient.
    #[error("this is an identity, which must stay secret; a recipient starts with age1")]
    Identity,
    /// An SSH key was given as a recipient.
    #[error("SSH keys are not supported as recipients; create one that starts with age1: agentpod secret keygen")]
    SshKey,
    /// Some other text was given as a recipient.
    #[error("{0:?} is not a recipient, which starts with age1")]
    NotARecipient(String),
    /// There is nobody to encrypt to.
    #[error("there is no recipient to encrypt to")]
    NoRecipient,
    /// Encryption failed.
    #[error("the value cannot be encrypted: {0}")]
    NotEncrypted(#[from] io::Error),
}

/// Creates a file with a new identity and returns its recipient.
pub fn keygen(path: &Path) -> Result<Recipient, AgeError> {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    let secret = identity.to_string();
    let text = Zeroizing::new(format!("# public key: {recipient}\n{}\n", secret.expose_secret()));
    private_file::create(path, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => AgeError::Exists(path.into()),
        _ => AgeError::NotCreated { path: path.into(), error },
    })?;
    Ok(recipient)
}

/// Parses a recipient.
pub(crate) fn recipient(text: &str) -> Result<Recipient, AgeError> {
    match text.parse() {
        Ok(recipient) => Ok(recipient),
        Err(_) if text.starts_with("AGE-SECRET-KEY-") => Err(AgeError::Identity),
        Err(_) if text.starts_with("ssh-") => Err(AgeError::SshKey),
        Err(_) => Err(AgeError::NotARecipient(text.to_owned())),
    }
}

/// Encrypts a value to all of these recipients, into an armored age file.
pub fn encrypt(recipients: &[Recipient], value: &SecretString) -> Result<String, AgeError> {
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient))
        .map_err(|_| AgeError::NoRecipient)?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(value.expose_secret().as_bytes())?;
    let text = writer.finish().and_then(ArmoredWriter::finish)?;
    String::from_utf8(text).map_err(|error| io::Error::other(error).into())
}
