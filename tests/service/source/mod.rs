//! Sources and watches on real folders, as people, editors, git and Kubernetes change them.

mod adapters;
mod bad_input;
mod edits;
mod moving;
mod watch;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::testkit::{files::write, repository::git};
use agentpod::source::{Directory, Snapshot, Source, SourceError};
use tempfile::TempDir;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A new folder with its real path, since the temporary directory may be a link.
fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap().join("manifests");
    fs::create_dir(&path).unwrap();
    (folder, path)
}

async fn read(root: &Path) -> Result<Snapshot, SourceError> {
    let source = Source::Directory(Directory::new(root));
    tokio::time::timeout(DEADLINE, source.read()).await.expect("a read ends within the deadline")
}

/// The files of a folder as one text.
async fn texts(root: &Path) -> String {
    let snapshot = read(root).await.unwrap();
    let one = |(name, bytes): (&str, &[u8])| format!("{name}={}", String::from_utf8_lossy(bytes));
    snapshot.texts().map(one).collect::<Vec<_>>().join(" ")
}
