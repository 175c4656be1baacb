//! Files with keys in them: created atomically and for their owner alone, and read only if nobody else could have read
//! them. No message quotes their content.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{Mode, OFlags};
use secrecy::zeroize::Zeroizing;

/// Why a file cannot be used. The message follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum UnusableFile {
    /// It does not exist.
    #[error("there is no such file")]
    Missing,
    /// Its permissions let others read it.
    #[error("its permissions are {mode:04o}, so others may have read it; if they have not, run chmod 0600 {}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// The system refused to read it.
    #[error("it cannot be read: {0}")]
    Other(io::Error),
}

/// The text of a file, up to `max_bytes`. It never blocks: pipes and devices are refused.
pub fn read(path: &Path, max_bytes: usize) -> Result<Zeroizing<String>, UnusableFile> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Err(UnusableFile::Missing),
        Err(error) => return Err(UnusableFile::Other(error.into())),
    };
    let metadata = file.metadata().map_err(UnusableFile::Other)?;
    if !metadata.is_file() {
        return Err(UnusableFile::Other(io::Error::other("it is not a regular file")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(UnusableFile::Exposed { path: path.into(), mode });
    }
    // Full capacity from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(max_bytes + 1));
    file.take(max_bytes as u64).read_to_string(&mut text).map_err(UnusableFile::Other)?;
    // Some editors put a byte-order mark before a text, which nobody sees.
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Creates a file, and the folders above it. An existing file stays unchanged: the error is `AlreadyExists`.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder(path))?;
    let draft = draft(path)?;
    // Written to a draft and then linked: the link fails if the file exists, and a crash leaves no half-written file.
    let written = write(&draft, text).and_then(|_| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder(path))?.sync_all()
}

/// Writes a file in place of another or of none; whoever reads it sees the old text or the new one, whole, also after a
/// crash. `prepare` gets the new file before it takes its place, for example to lock it.
pub(crate) fn put(path: &Path, text: &str, prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let draft = draft(path)?;
    let written = write(&draft, text).and_then(|file| {
        prepare(&file)?;
        fs::rename(&draft, path)?;
        Ok(file)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    File::open(folder(path))?.sync_all()?;
    written
}

/// A new name beside a file.
fn draft(path: &Path) -> io::Result<PathBuf> {
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| io::Error::other("the system has no random bytes"))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", u64::from_ne_bytes(suffix)));
    Ok(draft.into())
}

fn write(path: &Path, text: &str) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

/// Renames a file over another. If it was renamed already, that is no error.
pub(crate) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        outcome => outcome?,
    }
    File::open(folder(to))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, "\u{feff}s3cret\n").unwrap();
        assert_eq!(read(&path, 100).unwrap().as_str(), "s3cret\n");
    }
}
