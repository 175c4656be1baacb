//! The git source on real repositories behind real servers: git's own HTTP backend with a password, OpenSSH, a folder.

mod command;
mod contents;
mod edits;
mod http;
mod moving;
mod rounds;
mod signed;
mod ssh;

use std::{path::Path, time::Duration};

use agentpod::{
    core::secret::SecretRef,
    source::{
        Git, Snapshot, SourceError,
        git::{Address, Credentials, GitSettings, Reference},
    },
};

use crate::testkit::repository::Repository;

/// Settings for a repository, with its default branch and all folders.
fn settings(url: &str, state: &Path) -> GitSettings {
    crate::testkit::log::listen();
    GitSettings {
        address: Address::parse(url).unwrap(),
        reference: Reference::Head,
        path: String::new(),
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(20),
        credentials: Credentials::default(),
        known_hosts: None,
        signers: None,
        cache_dir: state.join("caches"),
    }
}

/// The settings for a repository in a folder.
fn local(repository: &Repository) -> GitSettings {
    settings(&format!("file://{}", repository.bare().display()), repository.root())
}

fn file(path: &Path) -> Option<SecretRef> {
    Some(SecretRef { file: Some(path.display().to_string()), ..SecretRef::default() })
}

/// Fetches, and reads the result.
async fn fetch(git: &Git) -> Result<Snapshot, SourceError> {
    git.fetch().await;
    git.read().await
}

/// Files as one text.
fn texts(snapshot: &Snapshot) -> String {
    let one = |(name, bytes): (&str, &[u8])| format!("{name}={}", String::from_utf8_lossy(bytes));
    snapshot.texts().map(one).collect::<Vec<_>>().join(" ")
}

/// The message of an error.
fn why(outcome: Result<Snapshot, SourceError>) -> String {
    outcome.expect_err("this is refused").to_string()
}
