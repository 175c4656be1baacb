//! Secrets at the edge: from a reference to the value. The one place that reads values; they leave it wrapped, and
//! never in a message: a sentence about a secret names where it should come from and what is wrong, nothing of it.

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

pub use self::age::{Identities, encrypt, keygen, recipient};
use crate::core::{
    digest::Digest,
    secret::{self, SecretRef},
};

/// The most bytes a secret may have.
pub const MAX_BYTES: u64 = 64 << 10;

/// What reading a secret gave: its value, or a sentence on why there is none.
pub type Value = Result<SecretString, String>;

/// Reads secrets round after round. What was decrypted is kept until its identity changes or nobody refers to it.
#[derive(Default)]
pub struct Reader {
    identities: Identities,
    opened: BTreeMap<Digest, Value>,
}

impl Reader {
    /// A reader that opens encrypted values with these identities.
    pub fn new(identities: Identities) -> Self {
        Self { identities, opened: BTreeMap::new() }
    }

    /// The value behind each of these references, as it is now.
    pub fn read(&mut self, references: BTreeSet<SecretRef>) -> BTreeMap<SecretRef, Value> {
        if references.iter().any(|reference| reference.age.is_some()) && self.identities.look() {
            self.opened.clear();
        }
        let mut before = std::mem::take(&mut self.opened);
        let values = references.into_iter().map(|reference| {
            let value = match &reference {
                SecretRef { env: None, file: None, age: Some(text) } => {
                    let key = Digest::of_bytes(text.as_bytes());
                    let known = self.opened.get(&key).cloned().or_else(|| before.remove(&key));
                    let value = known.unwrap_or_else(|| decrypt(text, &self.identities));
                    self.opened.insert(key, value.clone());
                    value
                }
                reference => resolve(reference),
            };
            (reference, value)
        });
        values.collect()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} opened)", self.opened.len())
    }
}

fn decrypt(text: &str, identities: &Identities) -> Value {
    let file = secret::age_file(text).map_err(|not| format!("it {}; {}", not.what, not.hint))?;
    let mut bytes = identities.open(&file)?;
    drop_line_end(&mut bytes);
    value(&bytes)
}

/// The value behind a reference to an environment variable or a file; or a sentence on why there is none.
pub fn resolve(reference: &SecretRef) -> Value {
    resolve_with(reference, |name| std::env::var_os(name))
}

/// The same with another environment.
fn resolve_with(reference: &SecretRef, environment: impl FnOnce(&str) -> Option<OsString>) -> Value {
    match reference {
        SecretRef { env: Some(name), file: None, age: None } => {
            let found = environment(name).ok_or("it is not set in AgentPod's environment")?;
            value(&Zeroizing::new(found.into_encoded_bytes()))
        }
        SecretRef { env: None, file: Some(path), age: None } => value(&read(Path::new(path))?),
        _ => Err("the reference names no place, or more than one; give one of env, file and age".into()),
    }
}

/// Bytes as a secret's value, if they can be one.
pub fn value(bytes: &[u8]) -> Value {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} KiB, the most a secret may have", MAX_BYTES >> 10));
    }
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    if bytes.contains(&0) {
        return Err("it holds a NUL byte, which no environment variable can".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
    Ok(SecretString::from(text))
}

/// What is careless about where a secret stands, although it can be read.
pub fn concern(reference: &SecretRef) -> Option<String> {
    let path = reference.file.as_ref()?;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let hint = format!("everybody on this machine can read {path}; take that right away: chmod o-rwx {path}");
    (mode & 0o004 != 0).then_some(hint)
}

/// A file's content without one line end at its end. Never waits: a pipe or a device is not opened for reading.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    if !path.is_absolute() {
        return Err("the path is not absolute; begin it with /".into());
    }
    let what = std::fs::metadata(path).map_err(|error| sentence(&error))?;
    if !what.is_file() {
        return Err("it is not a plain file; name the file that holds the value".into());
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| sentence(&error.into()))?);
    if !file.metadata().map_err(|error| sentence(&error))?.is_file() {
        return Err("it is not a plain file; name the file that holds the value".into());
    }
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 4));
    file.take(MAX_BYTES + 3).read_to_end(&mut bytes).map_err(|error| sentence(&error))?;
    drop_line_end(&mut bytes);
    Ok(bytes)
}

fn drop_line_end(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
}

fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; create it, or correct the path".into(),
        io::ErrorKind::PermissionDenied => {
            let who = rustix::process::geteuid().as_raw();
            format!("AgentPod may not read it; let the user it runs as (uid {who}) read it and the folders above it")
        }
        _ => format!("it cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use secrecy::ExposeSecret;

    use super::*;

    fn from_env(value: &[u8]) -> Result<String, String> {
        use std::os::unix::ffi::OsStringExt;
        let reference = SecretRef { env: Some("KEY".into()), ..SecretRef::default() };
        let value = OsString::from_vec(value.to_vec());
        resolve_with(&reference, |name| (name == "KEY").then_some(value)).map(|secret| secret.expose_secret().into())
    }

    fn from_file(path: &Path) -> Result<String, String> {
        let reference = SecretRef { file: Some(path.display().to_string()), ..SecretRef::default() };
        resolve(&reference).map(|secret| secret.expose_secret().into())
    }

    #[test]
    fn a_value_from_the_environment_is_taken_as_it_is() {
        assert_eq!(from_env(b"s3cret\n"), Ok("s3cret\n".into()));
        let reference = SecretRef { env: Some("AGENTPOD_NO_SUCH_VARIABLE".into()), ..SecretRef::default() };
        assert_eq!(resolve(&reference).unwrap_err(), "it is not set in AgentPod's environment");
    }

    #[test]
    fn a_value_from_a_file_loses_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (content, value) in
            [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s3cret\n\n", "s3cret\n"), ("s3cret", "s3cret")]
        {
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
        fs::write(&path, [vec![b's'; MAX_BYTES as usize], b"\r\n".to_vec()].concat()).unwrap();
        assert_eq!(from_file(&path).unwrap().len() as u64, MAX_BYTES);
    }

    #[test]
    fn what_is_no_file_is_refused_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert!(from_file(path).unwrap_err().contains("not a plain file"), "{path:?}");
        }
        assert!(from_file(&folder.path().join("none")).unwrap_err().contains("no such file"));
        assert!(from_file(Path::new("key")).unwrap_err().contains("not absolute"));
        let both = SecretRef { env: Some("KEY".into()), file: Some("/key".into()), age: None };
        assert!(resolve(&both).unwrap_err().contains("more than one"));
    }

    #[test]
    fn a_file_that_everybody_can_read_is_taken_with_a_concern() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "s3cret").unwrap();
        let reference = SecretRef { file: Some(path.display().to_string()), ..SecretRef::default() };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(concern(&reference).unwrap().contains("chmod o-rwx"));
        assert!(resolve(&reference).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(concern(&reference), None);
    }

    /// A file with an identity, its recipient, and a reader that uses the file.
    fn with_identity(folder: &Path) -> (std::path::PathBuf, ::age::x25519::Recipient, Reader) {
        let file = folder.join("age.key");
        let recipient = keygen(&file).unwrap();
        let reader = Reader::new(Identities::new(vec![file.clone()]));
        (file, recipient, reader)
    }

    fn encrypted(recipient: &::age::x25519::Recipient, value: &str) -> SecretRef {
        SecretRef {
            age: Some(encrypt(std::slice::from_ref(recipient), &value.into()).unwrap()),
            ..SecretRef::default()
        }
    }

    fn read_one(reader: &mut Reader, reference: &SecretRef) -> Result<String, String> {
        let value = reader.read(BTreeSet::from([reference.clone()])).remove(reference).unwrap();
        value.map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn what_was_encrypted_to_an_identity_is_opened_with_it_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let (file, recipient, mut reader) = with_identity(folder.path());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read_one(&mut reader, &encrypted(&recipient, "s3cret\n")), Ok("s3cret".into()));
        assert_eq!(read_one(&mut reader, &encrypted(&recipient, "s3cret\n\n")), Ok("s3cret\n".into()));
        assert!(keygen(&file).unwrap_err().contains("stays as it is"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left over");
    }

    #[test]
    fn one_value_that_cannot_be_opened_says_why_and_leaves_the_others_alone() {
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
            [(&foreign, to_us.as_str()), (&flipped, "damaged"), (&plain, "is no age file"), (&empty, "it is empty")]
        {
            let told = values[reference].as_ref().unwrap_err();
            assert!(told.contains(why) && !told.contains("s3cret"), "{told}");
        }
        let shown = format!("{:?} {reader:?}", values.values());
        assert!(!shown.contains("s3cret"), "a value does not print itself: {shown}");
    }

    #[test]
    fn an_identity_that_others_could_read_is_not_used_and_the_message_has_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let (file, recipient, mut reader) = with_identity(folder.path());
        let reference = encrypted(&recipient, "s3cret");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let told = read_one(&mut reader, &reference).unwrap_err();
        assert!(told.contains("0640") && told.contains(&format!("chmod 0600 {}", file.display())), "{told}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()), "looked at again without a restart");
    }

    #[test]
    fn identities_are_looked_at_again_when_their_file_changes_and_any_of_several_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let (one, recipient, _) = with_identity(&folder.path().join("one"));
        let two = folder.path().join("two.key");
        let mut reader = Reader::new(Identities::new(vec![two.clone()]));
        let reference = encrypted(&recipient, "s3cret");
        let told = read_one(&mut reader, &reference).unwrap_err();
        assert!(told.contains("two.key") && told.contains("agentpod secret keygen"), "{told}");
        keygen(&two).unwrap();
        assert!(read_one(&mut reader, &reference).unwrap_err().contains("somebody else"));
        let identity = fs::read_to_string(&one).unwrap();
        fs::write(&two, format!("{}\n# another\n\n{identity}", fs::read_to_string(&two).unwrap())).unwrap();
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()));
        fs::write(&two, format!("{identity}AGE-SECRET-KEY-NONSENSE\n")).unwrap();
        let told = read_one(&mut reader, &reference).unwrap_err();
        assert!(told.contains("line 3") && !told.contains("AGE-SECRET-KEY-NONSENSE"), "{told}");
        let mut both = Reader::new(Identities::new(vec![two, one]));
        assert_eq!(read_one(&mut both, &reference), Ok("s3cret".into()), "the file that is right is used");
        let mut none = Reader::default();
        assert!(read_one(&mut none, &reference).unwrap_err().contains("--age-identity"));
    }

    #[test]
    fn a_value_is_opened_once_and_forgotten_when_nobody_refers_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (_, recipient, mut reader) = with_identity(folder.path());
        let reference = encrypted(&recipient, "s3cret");
        let key = Digest::of_bytes(reference.age.as_ref().unwrap().as_bytes());
        read_one(&mut reader, &reference).unwrap();
        reader.opened.insert(key, Ok("remembered".into()));
        assert_eq!(read_one(&mut reader, &reference), Ok("remembered".into()), "it was opened again");
        reader.read(BTreeSet::new());
        assert_eq!(reader.opened.len(), 0);
        assert_eq!(read_one(&mut reader, &reference), Ok("s3cret".into()));
    }
}
