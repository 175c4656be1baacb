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
pub fn resolve_with(reference: &SecretRef, environment: impl FnOnce(&str) -> Option<OsString>) -> Result<SecretString, String> {
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
