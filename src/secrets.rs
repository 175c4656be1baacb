//! Secrets at the edge: from a reference to the value. The one place that reads values; they leave it wrapped, and
//! never in a message: a sentence about a secret names where it should come from and what is wrong, nothing of it.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rustix::fs::{Mode, OFlags};
use secrecy::{SecretString, zeroize::Zeroizing};

use crate::core::secret::SecretRef;

/// The most bytes a secret may have.
pub const MAX_BYTES: u64 = 64 << 10;

/// The value of a secret, from this process's environment or from a file; or a sentence on why there is none.
pub fn resolve(reference: &SecretRef) -> Result<SecretString, String> {
    resolve_with(reference, |name| std::env::var_os(name))
}

/// The same with another environment.
pub fn resolve_with(
    reference: &SecretRef,
    environment: impl FnOnce(&str) -> Option<OsString>,
) -> Result<SecretString, String> {
    let bytes = match (&reference.env, &reference.file) {
        (Some(name), None) => {
            let value = environment(name).ok_or("it is not set in AgentPod's environment")?;
            Zeroizing::new(value.into_encoded_bytes())
        }
        (None, Some(path)) => read(Path::new(path))?,
        _ => return Err("the reference names no place, or more than one; give either env or file".into()),
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} KiB, the most a secret may have", MAX_BYTES >> 10));
    }
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    if bytes.contains(&0) {
        return Err("it holds a NUL byte, which no environment variable can".into());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8 text")?;
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
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(bytes)
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
        let reference = SecretRef { env: Some("KEY".into()), file: None };
        let value = OsString::from_vec(value.to_vec());
        resolve_with(&reference, |name| (name == "KEY").then_some(value)).map(|secret| secret.expose_secret().into())
    }

    fn from_file(path: &Path) -> Result<String, String> {
        let reference = SecretRef { env: None, file: Some(path.display().to_string()) };
        resolve(&reference).map(|secret| secret.expose_secret().into())
    }

    #[test]
    fn a_value_from_the_environment_is_taken_as_it_is() {
        assert_eq!(from_env(b"s3cret\n"), Ok("s3cret\n".into()));
        let reference = SecretRef { env: Some("AGENTPOD_NO_SUCH_VARIABLE".into()), file: None };
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
        let both = SecretRef { env: Some("KEY".into()), file: Some("/key".into()) };
        assert!(resolve(&both).unwrap_err().contains("more than one"));
    }

    #[test]
    fn a_file_that_everybody_can_read_is_taken_with_a_concern() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "s3cret").unwrap();
        let reference = SecretRef { env: None, file: Some(path.display().to_string()) };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(concern(&reference).unwrap().contains("chmod o-rwx"));
        assert!(resolve(&reference).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(concern(&reference), None);
    }
}
