//! Changes a file in a folder of manifests. A new text is written under a hidden name and then linked or renamed, so that
//! nobody reads half of it; no file that appeared or changed meanwhile is replaced or removed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};

use super::{Edit, Edited, NotEdited};
use crate::{core::declare::edit::FileChange, source::Directory};

/// Makes the change.
pub(crate) async fn edit(directory: &Directory, edit: Edit) -> Result<Edited, NotEdited> {
    let snapshot = directory.read().await?;
    let change = (edit.decide)(&snapshot.files).map_err(NotEdited::Problems)?;
    let file = change.path.clone();
    let path = directory.path().join(&file);
    let written = tokio::task::spawn_blocking(move || write(&path, &change)).await;
    let not_written = |error: io::Error| NotEdited::Unwritten {
        origin: directory.origin(),
        what: match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{file} was just created or changed by somebody else and was not changed")
            }
            _ => format!("{file} cannot be written: {error}"),
        },
        hint: match error.kind() {
            ErrorKind::AlreadyExists => "look at it and try again",
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
    Ok(Edited { file, commit: None })
}

fn write(path: &Path, change: &FileChange) -> io::Result<()> {
    let Some(before) = &change.before else {
        return match &change.after {
            Some(text) => with_draft(path, text, |draft| fs::hard_link(draft, path)),
            None => Ok(()),
        };
    };
    let is_same = || match fs::read(path)? == *before {
        true => Ok(()),
        false => Err(io::Error::from(ErrorKind::AlreadyExists)),
    };
    is_same()?;
    let Some(text) = &change.after else {
        fs::remove_file(path)?;
        return File::open(folder(path))?.sync_all();
    };
    // Through a link, so that the file it leads to is changed and the link stays.
    let target = fs::canonicalize(path)?;
    let permissions = fs::metadata(&target)?.permissions();
    with_draft(&target, text, |draft| {
        fs::set_permissions(draft, permissions)?;
        is_same()?;
        fs::rename(draft, &target)
    })
}

/// Writes the text beside `path` under a hidden name, and has it put in place.
fn with_draft(path: &Path, text: &str, put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = folder(path);
    let mut suffix = [0; 8];
    SystemRandom::new().fill(&mut suffix).map_err(|_| io::Error::other("the system has no random bytes"))?;
    let draft = folder.join(format!(".agentpod-{:016x}", u64::from_ne_bytes(suffix)));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(&draft)
    });
    // Readers skip hidden names, so a draft that a crash leaves does no harm. A renamed one is gone already.
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    };
    written?;
    removed?;
    File::open(folder)?.sync_all()
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_owned()
}
