//! Files with keys in them: made whole or not at all, for their owner alone, and read only if nobody else could have
//! read them. Knows nothing of what stands in them, and never shows it.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{Mode, OFlags};
use secrecy::zeroize::Zeroizing;

/// Why a file cannot be used; a sentence about it, to stand after its name.
#[derive(Debug)]
pub enum UnusableFile {
    /// There is none.
    Missing,
    /// Others could have read it.
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Anything else.
    Other(io::Error),
}

impl fmt::Display for UnusableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Exposed { path, mode } => write!(
                f,
                "its permissions are {mode:04o}, so others may have read it; if that cannot be, chmod 0600 {}",
                path.display()
            ),
            Self::Other(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

/// The text of a file, at most so many bytes of it. Never waits: a pipe or a device is not read.
pub fn read(path: &Path, most: usize) -> Result<Zeroizing<String>, UnusableFile> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Err(UnusableFile::Missing),
        Err(error) => return Err(UnusableFile::Other(error.into())),
    };
    let what = file.metadata().map_err(UnusableFile::Other)?;
    if !what.is_file() {
        return Err(UnusableFile::Other(io::Error::other("it is not a plain file")));
    }
    let mode = what.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(UnusableFile::Exposed { path: path.into(), mode });
    }
    // Room for all of it from the start: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(most + 1));
    file.take(most as u64).read_to_string(&mut text).map_err(UnusableFile::Other)?;
    Ok(text)
}

/// Makes a file, and the folders above it. One that is there already stays as it is: that is `AlreadyExists`.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", u64::from_ne_bytes(suffix)));
    // Written beside its place and then linked there: the link fails if there is one, and a crash in between leaves no
    // half-written file.
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

/// Puts a file in another's place. Done already by somebody else is done.
pub fn take_place(from: &Path, to: &Path) -> io::Result<()> {
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
