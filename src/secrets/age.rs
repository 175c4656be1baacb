//! Secrets encrypted with age: identities from files, values opened and made. Nothing of an identity or a value gets
//! into a sentence; recipients do, for they are public.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use age::{
    DecryptError, Decryptor, Encryptor,
    armor::{ArmoredWriter, Format},
    x25519::{Identity, Recipient},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::MAX_BYTES;
use crate::{core::digest::Digest, private_file};

/// The most bytes a file with identities may have.
const MAX_FILE: usize = 64 << 10;

/// The identities in some files, as of the last look at them.
#[derive(Default)]
pub struct Identities {
    files: Vec<PathBuf>,
    /// What the files held.
    seen: Option<Digest>,
    keys: Vec<Identity>,
    /// Why files cannot be used.
    unusable: Vec<String>,
}

impl Identities {
    /// Identities from these files. Nothing is read yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// Reads the files again. Answers whether anything is different from before.
    pub fn look(&mut self) -> bool {
        let texts: Vec<_> = self.files.iter().map(|file| (file, private_file::read(file, MAX_FILE))).collect();
        let mut all = Zeroizing::new(Vec::new());
        for (_, text) in &texts {
            match text {
                Ok(text) => all.extend_from_slice(text.as_bytes()),
                Err(why) => all.extend_from_slice(why.to_string().as_bytes()),
            }
            all.push(0);
        }
        let seen = Digest::of_bytes(&all);
        if self.seen.as_ref() == Some(&seen) {
            return false;
        }
        (self.seen, self.keys, self.unusable) = (Some(seen), Vec::new(), Vec::new());
        for (file, text) in texts {
            let keys = text.map_err(|why| hint(&why)).and_then(|text| parse(&text));
            match keys {
                Ok(keys) => self.keys.extend(keys),
                Err(why) => self.unusable.push(format!("{}: {why}", file.display())),
            }
        }
        true
    }

    /// Whom to encrypt to, so that these identities open it.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.keys.iter().map(Identity::to_public).collect()
    }

    /// Why files cannot be used, a sentence for each.
    pub fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// Opens an age file, or says why it cannot be.
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let damaged = || "it is damaged; make it anew: agentpod secret encrypt".to_owned();
        let decryptor = Decryptor::new_buffered(file).map_err(|_| damaged())?;
        let reader = match decryptor.decrypt(self.keys.iter().map(|key| key as &dyn age::Identity)) {
            Ok(reader) => reader,
            Err(DecryptError::NoMatchingKeys) => return Err(self.no_match()),
            Err(_) => return Err(damaged()),
        };
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 4));
        reader.take(MAX_BYTES + 3).read_to_end(&mut value).map_err(|_| damaged())?;
        Ok(value)
    }

    fn no_match(&self) -> String {
        let unusable = self.unusable.join("; ");
        let ours: Vec<String> = self.recipients().iter().map(ToString::to_string).collect();
        match (ours.is_empty(), unusable.is_empty()) {
            (true, true) => "there is no age identity to open it with; name its file with --age-identity".into(),
            (true, false) => format!("there is no age identity to open it with: {unusable}"),
            (false, _) => {
                let also = if unusable.is_empty() { String::new() } else { format!(" (and {unusable})") };
                format!("it is encrypted to somebody else; encrypt it to {}{also}", ours.join(" and "))
            }
        }
    }
}

fn hint(why: &private_file::UnusableFile) -> String {
    match why {
        private_file::UnusableFile::Missing => {
            "there is no such file; make one with agentpod secret keygen, or name the right one with --age-identity"
                .into()
        }
        why => why.to_string(),
    }
}

fn parse(text: &str) -> Result<Vec<Identity>, String> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let keys: Vec<Identity> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            line.parse().map_err(|_| format!("line {number} is no age identity, which begins with AGE-SECRET-KEY-1"))
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err("no age identity stands in it".into()) } else { Ok(keys) }
}

/// Makes a file with a new identity; answers whom to encrypt to.
pub fn keygen(path: &Path) -> Result<Recipient, String> {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    let secret = identity.to_string();
    let text = Zeroizing::new(format!("# public key: {recipient}\n{}\n", secret.expose_secret()));
    private_file::create(path, &text).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} is there already and stays as it is; name another file", path.display())
        }
        _ => format!("{} cannot be made: {error}", path.display()),
    })?;
    Ok(recipient)
}

/// Reads one recipient.
pub fn recipient(text: &str) -> Result<Recipient, String> {
    match text.parse() {
        Ok(recipient) => Ok(recipient),
        Err(_) if text.starts_with("AGE-SECRET-KEY-") => {
            Err("this is an identity, which must stay secret; a recipient begins with age1".into())
        }
        Err(_) if text.starts_with("ssh-") => {
            Err("SSH keys are not taken as recipients; make one that begins with age1: agentpod secret keygen".into())
        }
        Err(_) => Err(format!("{text:?} is no recipient, which begins with age1")),
    }
}

/// Encrypts a value to all of these recipients, as an armored age file.
pub fn encrypt(recipients: &[Recipient], value: &SecretString) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("it cannot be encrypted: {error}");
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient))
        .map_err(|_| "there is no recipient to encrypt it to")?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).map_err(fail)?;
    let mut writer = encryptor.wrap_output(armor).map_err(fail)?;
    writer.write_all(value.expose_secret().as_bytes()).map_err(fail)?;
    let text = writer.finish().and_then(ArmoredWriter::finish).map_err(fail)?;
    String::from_utf8(text).map_err(|_| "it cannot be encrypted".into())
}
