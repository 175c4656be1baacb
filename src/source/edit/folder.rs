//! Adds a file to a folder of manifests: written under a hidden name and then linked, so that nobody reads half of it and
//! no file that appeared meanwhile is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use ring::rand::{SecureRandom, SystemRandom};

use super::{Added, Edit, NotAdded};
use crate::source::Directory;

/// Adds the file.
pub(crate) async fn add(directory: &Directory, edit: Edit) -> Result<Added, NotAdded> {
    let snapshot = directory.read().await?;
    let file = (edit.choose_path)(&snapshot.files).map_err(NotAdded::Problems)?;
    let path = directory.path().join(&file);
    let written = tokio::task::spawn_blocking(move || write(&path, &edit.text)).await;
    let not_written = |error: io::Error| NotAdded::Unwritten {
        origin: directory.origin(),
        what: match error.kind() {
            ErrorKind::AlreadyExists => format!("{file} was just created by somebody else and was not changed"),
            _ => format!("{file} cannot be written: {error}"),
        },
        hint: match error.kind() {
            ErrorKind::AlreadyExists => "try again",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "let AgentPod's user write there, or use --edits off and save the file yourself"
            }
            _ => "save the file yourself, or check the disk",
        }
        .into(),
    };
    match written {
        Ok(outcome) => outcome.map_err(not_written)?,
        Err(error) => return Err(not_written(io::Error::other(error))),
    }
    Ok(Added { file, commit: None })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| io::Error::other("the system has no random bytes"))?;
    let draft = folder.join(format!(".agentpod-{:016x}", u64::from_ne_bytes(suffix)));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    // Readers skip hidden names, so a draft that a crash leaves does no harm.
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}
