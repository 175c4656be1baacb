//! A new file in a folder of manifests: written beside its place under a name that no reader looks at, then linked there,
//! so that nobody ever reads a half of it and nothing that came meanwhile is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use ring::rand::{SecureRandom, SystemRandom};

use super::{Added, Edit, NotAdded};
use crate::source::Directory;

/// Adds it.
pub async fn add(directory: &Directory, edit: Edit) -> Result<Added, NotAdded> {
    let there = directory.read().await?;
    let file = (edit.place)(&there.files).map_err(NotAdded::Problems)?;
    let path = directory.path().join(&file);
    let written = tokio::task::spawn_blocking(move || write(&path, &edit.text)).await;
    let unwritten = |error: io::Error| {
        NotAdded::Unwritten {
        origin: directory.origin(),
        what: match error.kind() {
            ErrorKind::AlreadyExists => format!("there is a {file} since a moment ago, and it is left as it is"),
            _ => format!("{file} could not be written: {error}"),
        },
        hint: match error.kind() {
            ErrorKind::AlreadyExists => "try again",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "let the user that AgentPod runs as write there, or start it with --edits off and save the file yourself"
            }
            _ => "save the file yourself, or see what is wrong with the disk",
        }
        .into(),
    }
    };
    match written {
        Ok(outcome) => outcome.map_err(unwritten)?,
        Err(error) => return Err(unwritten(io::Error::other(error))),
    }
    Ok(Added { file, commit: None })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let draft = folder.join(format!(".agentpod-{:016x}", u64::from_ne_bytes(suffix)));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    // Whoever reads the folder looks at no name with a dot; one that a crash leaves harms nobody.
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    File::open(folder)?.sync_all()
}
