//! Secrets at the edge: reads the values behind references. The only place that does; values leave it wrapped, and no
//! message quotes one.

mod access;
mod age;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rustix::fs::{Mode, OFlags};
use secrecy::{SecretString, zeroize::Zeroizing};

pub use self::access::SecretAccess;
pub(crate) use self::age::recipient;
pub use self::age::{Identities, encrypt, keygen};
use crate::core::{
    digest::Digest,
    secret::{self, SecretError, SecretRef},
};

/// The most bytes a secret may have.
pub(crate) const MAX_BYTES: u64 = 64 << 10;

/// The most bytes that are dropped around a value, and one more, so that a longer value is seen to be one.
pub(crate) const LONGEST_UNSEEN: u64 = 6;

/// The value behind each reference, or why it has none.
pub(crate) type SecretValues = BTreeMap<SecretRef, Result<SecretString, SecretError>>;

/// Reads secrets in every round. Decrypted values are kept until the identities change or nothing refers to them.
#[derive(Default)]
pub struct SecretReader {
    identities: Identities,
    access: SecretAccess,
    decrypted: BTreeMap<Digest, Result<SecretString, SecretError>>,
}

impl SecretReader {
    /// A reader that decrypts with these identities.
    pub fn new(identities: Identities) -> Self {
        Self { identities, access: SecretAccess::default(), decrypted: BTreeMap::new() }
    }

    /// The same reader, whose references lead only where these allow.
    #[must_use]
    pub(crate) fn within(self, access: SecretAccess) -> Self {
        Self { access, ..self }
    }

    /// The current value behind each of these references.
    pub fn read(&mut self, references: BTreeSet<SecretRef>) -> SecretValues {
        if references.iter().any(|reference| reference.age.is_some()) && self.identities.reload() {
            self.decrypted.clear();
        }
        let mut before = std::mem::take(&mut self.decrypted);
        let values = references.into_iter().map(|reference| {
            let value = match &reference {
                SecretRef { env: None, file: None, age: Some(text) } => {
                    let key = Digest::of_bytes(text.as_bytes());
                    let cached = self.decrypted.get(&key).cloned().or_else(|| before.remove(&key));
                    let value = cached.unwrap_or_else(|| decrypt(text, &self.identities));
                    self.decrypted.insert(key, value.clone());
                    value
                }
                reference => self.resolve(reference),
            };
            (reference, value)
        });
        values.collect()
    }
}

impl SecretReader {
    /// The value behind a reference of a pod to an environment variable or a file.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        match reference {
            SecretRef { env: Some(name), file: None, age: None } => self.access.variable(name)?,
            SecretRef { env: None, file: Some(path), age: None } => return value(&read(&self.access.file(path)?)?),
            _ => {}
        }
        resolve(reference)
    }
}

impl fmt::Debug for SecretReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretReader({} decrypted)", self.decrypted.len())
    }
}

fn decrypt(text: &str, identities: &Identities) -> Result<SecretString, SecretError> {
    let file = secret::age_file(text)?;
    let mut bytes = identities.decrypt(&file)?;
    drop_unseen(&mut bytes);
    value(&bytes)
}

/// The value behind a reference of the settings to an environment variable or a file: a credential of our own.
pub(crate) fn resolve(reference: &SecretRef) -> Result<SecretString, SecretError> {
    resolve_with(reference, |name| std::env::var_os(name))
}

/// Like [`resolve`], with the given environment.
fn resolve_with(
    reference: &SecretRef,
    environment: impl FnOnce(&str) -> Option<OsString>,
) -> Result<SecretString, SecretError> {
    match reference {
        SecretRef { env: Some(name), file: None, age: None } => {
            let found = environment(name).ok_or(SecretError::NotSet)?;
            value(&Zeroizing::new(found.into_encoded_bytes()))
        }
        SecretRef { env: None, file: Some(path), age: None } => value(&read(Path::new(path))?),
        _ => Err(SecretError::BadReference),
    }
}

/// Checks that bytes can be a secret's value.
pub(crate) fn value(bytes: &[u8]) -> Result<SecretString, SecretError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SecretError::TooLong(MAX_BYTES >> 10));
    }
    if bytes.is_empty() {
        return Err(SecretError::Empty);
    }
    if bytes.contains(&0) {
        return Err(SecretError::NulByte);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| SecretError::NotUtf8)?;
    Ok(SecretString::from(text))
}

/// A warning if everybody on this machine can read a secret's file.
pub(crate) fn exposure_warning(reference: &SecretRef) -> Option<String> {
    let path = reference.file.as_ref()?;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let hint = format!("everybody on this machine can read {path}; restrict it: chmod o-rwx {path}");
    (mode & 0o004 != 0).then_some(hint)
}

/// A file's content without a byte-order mark and its final line end. It never blocks: pipes and devices are refused.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    if !path.is_absolute() {
        return Err(SecretError::RelativePath);
    }
    let metadata = std::fs::metadata(path).map_err(|error| read_error(&error))?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| read_error(&error.into()))?);
    if !file.metadata().map_err(|error| read_error(&error))?.is_file() {
        return Err(SecretError::NotAFile);
    }
    // Full capacity from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity((MAX_BYTES + LONGEST_UNSEEN) as usize));
    file.take(MAX_BYTES + LONGEST_UNSEEN).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
    drop_unseen(&mut bytes);
    Ok(bytes)
}

/// Drops what editors add to a text and nobody sees: a byte-order mark before it, and one line end of any kind after it.
pub(crate) fn drop_unseen(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn read_error(error: &io::Error) -> SecretError {
    match error.kind() {
        io::ErrorKind::NotFound => SecretError::Missing,
        io::ErrorKind::PermissionDenied => SecretError::NotPermitted { uid: rustix::process::geteuid().as_raw() },
        _ => SecretError::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use secrecy::ExposeSecret;

    use super::{age::AgeError, *};

    fn from_env(value: &[u8]) -> Result<String, String> {
        use std::os::unix::ffi::OsStringExt;
        let reference = SecretRef { env: Some("KEY".into()), ..SecretRef::default() };
        let value = OsString::from_vec(value.to_vec());
        resolve_with(&reference, |name| (name == "KEY").then_some(value))
            .map(|secret| secret.expose_secret().into())
            .map_err(|error| error.to_string())
    }

    fn from_file(path: &Path) -> Result<String, String> {
        let reference = SecretRef { file: Some(path.display().to_string()), ..SecretRef::default() };
        resolve(&reference).map(|secret| secret.expose_secret().into()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_from_the_environment_is_taken_as_it_is() {
        assert_eq!(from_env(b"s3cret\n"), Ok("s3cret\n".into()));
        let reference = SecretRef { env: Some("AGENTPOD_NO_SUCH_VARIABLE".into()), ..SecretRef::default() };
        assert_eq!(resolve(&reference).unwrap_err(), SecretError::NotSet);
    }

    #[test]
    fn a_value_from_a_file_loses_what_nobody_sees() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (content, value) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret\r", "s3cret"),
            ("s3cret\n\n", "s3cret\n"),
            ("s3cret", "s3cret"),
            ("\u{feff}s3cret\r\n", "s3cret"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path), Ok(value.into()), "{content:?}");
        }
        symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(from_file(&folder.path().join("link")), Ok("s3cret".into()));
    }

    #[test]
    fn what_cannot_be_a_value_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let long = vec![b's'; MAX_BYTES as usize + 1];
        for (value, why) in [(&b""[..], "empty"), (b"s3cret\0", "NUL"), (b"s3cret\xff", "UTF-8"), (&long, "64 KiB")] {
            fs::write(&path, value).unwrap();
            for error in [from_file(&path).unwrap_err(), from_env(value).unwrap_err()] {
                assert!(error.contains(why) && !error.contains("s3cret") && error.len() < 100, "{error}");
            }
        }
        fs::write(&path, "\n").unwrap();
        assert_eq!(from_file(&path).unwrap_err(), "it is empty");
        let longest = [vec![b's'; MAX_BYTES as usize], b"\r\n".to_vec()].concat();
        for content in [longest.clone(), [BYTE_ORDER_MARK, &longest].concat()] {
            fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).unwrap().len() as u64, MAX_BYTES);
        }
        fs::write(&path, "\u{feff}\n").unwrap();
        assert_eq!(from_file(&path).unwrap_err(), "it is empty");
    }

    #[test]
    fn what_is_not_a_file_is_refused_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert!(from_file(path).unwrap_err().contains("not a regular file"), "{path:?}");
        }
        assert!(from_file(&folder.path().join("none")).unwrap_err().contains("no such file"));
        assert!(from_file(Path::new("key")).unwrap_err().contains("not absolute"));
        let both = SecretRef { env: Some("KEY".into()), file: Some("/key".into()), age: None };
        assert_eq!(resolve(&both).unwrap_err(), SecretError::BadReference);
    }

    #[test]
    fn a_file_that_everybody_can_read_is_used_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "s3cret").unwrap();
        let reference = SecretRef { file: Some(path.display().to_string()), ..SecretRef::default() };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(exposure_warning(&reference).unwrap().contains("chmod o-rwx"));
        assert!(resolve(&reference).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(exposure_warning(&reference), None);
    }

    /// A file with an identity, its recipient, and a reader that uses the file.
    fn with_identity(folder: &Path) -> (std::path::PathBuf, ::age::x25519::Recipient, SecretReader) {
        let file = folder.join("age.key");
        let recipient = keygen(&file).unwrap();
        let reader = SecretReader::new(Identities::new(vec![file.clone()]));
        (file, recipient, reader)
    }

    fn encrypted(recipient: &::age::x25519::Recipient, value: &str) -> SecretRef {
        SecretRef {
            age: Some(encrypt(std::slice::from_ref(recipient), &value.into()).unwrap()),
            ..SecretRef::default()
        }
    }

    fn read_one(reader: &mut SecretReader, reference: &SecretRef) -> Result<String, String> {
        let value = reader.read(BTreeSet::from([reference.clone()])).remove(reference).unwrap();
        value.map(|value| value.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_encrypted_to_an_identity_is_decrypted_with_it_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let (file, recipient, mut reader) = with_identity(folder.path());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read_one(&mut reader, &encrypted(&recipient, "s3cret\n")), Ok("s3cret".into()));
        assert_eq!(read_one(&mut reader, &encrypted(&recipient, "s3cret\n\n")), Ok("s3cret\n".into()));
        assert_eq!(read_one(&mut reader, &encrypted(&recipient, "\u{feff}s3cret\r")), Ok("s3cret".into()));
        assert!(matches!(keygen(&file).unwrap_err(), AgeError::Exists(path) if path == file));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left over");
    }

    #[test]
    fn one_value_that_cannot_be_decrypted_says_why_and_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (_, recipient, mut reader) = with_identity(folder.path());
        let (_, stranger, _) = with_identity(&folder.path().join("other"));
        let good = encrypted(&recipient, "s3cret");
        let foreign = encrypted(&stranger, "s3cret");
        let text = good.age.clone().unwrap();
        let flipped = match text.find("\n-----END").map(|end| &text[end - 10..end]) {
            Some(last) => SecretRef { age: Some(text.replace(last, "AAAAAAAAA=")), ..SecretRef::default() },
            None => panic!("{text}"),
        };
        let plain = SecretRef { age: Some("s3cret".into()), ..SecretRef::default() };
        let empty = encrypted(&recipient, "\n");
        let all = [&good, &foreign, &flipped, &plain, &empty].map(Clone::clone);
        let values = reader.read(BTreeSet::from(all));
        assert_eq!(values[&good].as_ref().unwrap().expose_secret(), "s3cret");
        let to_us = format!("encrypt it to {recipient}");
        for (reference, why) in
            [(&foreign, to_us.as_str()), (&flipped, "damaged"), (&plain, "is not an age file"), (&empty, "it is empty")]
        {
            let error = values[reference].as_ref().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
        }
        let debug = format!("{:?} {reader:?}", values.values());
        assert!(!debug.contains("s3cret"), "a value prints itself: {debug}");
    }

    #[test]
    fn an_identity_that_others_could_read_is_not_used_and_the_message_has_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let (file, recipient, mut reader) = with_identity(folder.path());
        let reference = encrypted(&recipient, "s3cret");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_one(&mut reader, &reference).unwrap_err();
        assert!(error.contains("0640") && error.contains(&format!("chmod 0600 {}", file.display())), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()), "read again without a restart");
    }

    #[test]
    fn identities_are_read_again_when_their_file_changes_and_any_of_several_decrypts() {
        let folder = tempfile::tempdir().unwrap();
        let (one, recipient, _) = with_identity(&folder.path().join("one"));
        let two = folder.path().join("two.key");
        let mut reader = SecretReader::new(Identities::new(vec![two.clone()]));
        let reference = encrypted(&recipient, "s3cret");
        let error = read_one(&mut reader, &reference).unwrap_err();
        assert!(error.contains("two.key") && error.contains("agentpod secret keygen"), "{error}");
        keygen(&two).unwrap();
        assert!(read_one(&mut reader, &reference).unwrap_err().contains("another recipient"));
        let identity = fs::read_to_string(&one).unwrap();
        fs::write(&two, format!("{}\n# another\n\n{identity}", fs::read_to_string(&two).unwrap())).unwrap();
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()));
        fs::write(&two, format!("{identity}AGE-SECRET-KEY-NONSENSE\n")).unwrap();
        let error = read_one(&mut reader, &reference).unwrap_err();
        assert!(error.contains("line 3") && !error.contains("AGE-SECRET-KEY-NONSENSE"), "{error}");
        let mut both = SecretReader::new(Identities::new(vec![two, one]));
        assert_eq!(read_one(&mut both, &reference), Ok("s3cret".into()), "the file that is right is used");
        let mut none = SecretReader::default();
        assert!(read_one(&mut none, &reference).unwrap_err().contains("--age-identity"));
    }

    #[test]
    fn a_value_is_decrypted_once_and_forgotten_when_nothing_refers_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (_, recipient, mut reader) = with_identity(folder.path());
        let reference = encrypted(&recipient, "s3cret");
        let key = Digest::of_bytes(reference.age.as_ref().unwrap().as_bytes());
        read_one(&mut reader, &reference).unwrap();
        reader.decrypted.insert(key, Ok("cached".into()));
        assert_eq!(read_one(&mut reader, &reference), Ok("cached".into()), "it was decrypted again");
        reader.read(BTreeSet::new());
        assert_eq!(reader.decrypted.len(), 0);
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()));
    }
}
