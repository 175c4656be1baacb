//! Only commits signed by an allowed signer are accepted.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use agentpod::source::{
    Git, SourceError,
    git::{GitSettings, Reference},
};

use super::{fetch, local, texts};
use crate::testkit::repository::{Repository, public};

/// A repository with a signed commit, and settings that require the signature.
fn signed() -> (Repository, GitSettings) {
    let repository = Repository::new();
    let key = repository.key("signer", "");
    repository.sign_with(&key);
    repository.push(&[("a.yaml", "1")], "signed");
    let allowed = repository.path("allowed");
    fs::write(&allowed, format!("tess@example.com {}\n", public(&key))).unwrap();
    let settings = GitSettings { signers: Some(allowed), ..local(&repository) };
    (repository, settings)
}

/// The refusal names the commit, its author, and what to do.
async fn refused(git: &Git, commit: &str, what: &str) {
    let error = fetch(git).await.unwrap_err();
    assert!(matches!(error, SourceError::Unfetched { code: "source_unverified", .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains(what) && message.contains(commit) && message.contains("Tess <tess@example.com>"),
        "{message}"
    );
    assert!(message.contains("allowed") && message.contains("git commit --amend -S"), "{message}");
    assert_eq!(git.health().fetched.unwrap().id, commit, "it is reported but not used");
}

#[tokio::test]
async fn a_signed_commit_is_accepted_and_an_unsigned_one_is_refused_until_it_is_signed() {
    let (repository, settings) = signed();
    let git = Git::new(settings);
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1");
    repository.run(&["config", "commit.gpgsign", "false"]);
    let id = repository.push(&[("a.yaml", "2")], "not signed");
    refused(&git, &id, "it is not signed").await;
    refused(&git, &id, "it is not signed").await;
    repository.run(&["commit", "--quiet", "--amend", "-S", "--no-edit"]);
    repository.run(&["push", "--quiet", "--force", "origin", "HEAD"]);
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2");
}

#[tokio::test]
async fn a_key_that_may_not_sign_is_refused_until_it_is_allowed_and_without_a_restart() {
    let (repository, settings) = signed();
    let git = Git::new(settings.clone());
    let other = repository.key("other", "");
    repository.sign_with(&other);
    let id = repository.push(&[("a.yaml", "2")], "by somebody else");
    refused(&git, &id, "which may not sign").await;
    let allowed = settings.signers.unwrap();
    let line = |options: &str| format!("tess@example.com {options}{}\n", public(&other));
    fs::write(&allowed, format!("{}{}", line("namespaces=\"file\" "), fs::read_to_string(&allowed).unwrap())).unwrap();
    refused(&git, &id, "which may not sign").await;
    fs::write(&allowed, line("valid-before=\"20200101\" ")).unwrap();
    refused(&git, &id, "may not sign at that time").await;
    fs::write(&allowed, line("namespaces=\"git\" ")).unwrap();
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2", "the tip is the same, the signers are not");
    fs::write(&allowed, "nonsense\n").unwrap();
    let message = fetch(&git).await.unwrap_err().to_string();
    assert!(message.contains("line 1") && message.contains("allowed"), "{message}");
    fs::remove_file(&allowed).unwrap();
    assert!(fetch(&git).await.is_err());
}

#[tokio::test]
async fn a_commit_that_was_changed_after_it_was_signed_is_refused() {
    let (repository, settings) = signed();
    repository.push(&[("a.yaml", "2")], "good");
    let object = repository.run(&["cat-file", "commit", "HEAD"]);
    let tree = repository.run(&["rev-parse", "HEAD^:"]);
    let of_now = object.lines().next().unwrap().to_owned();
    let changed = object.replacen(&of_now, &format!("tree {tree}"), 1) + "\n";
    assert_ne!(changed.trim(), object);
    let id = put(&repository.work(), &changed);
    repository.run(&["push", "--quiet", "--force", "origin", &format!("{id}:refs/heads/main")]);
    refused(&Git::new(settings), &id, "changed after it was signed").await;
}

#[tokio::test]
async fn a_merge_that_a_forge_signed_with_its_own_gpg_key_names_the_forge() {
    let (repository, settings) = signed();
    let object = repository.run(&["cat-file", "commit", "HEAD"]);
    let tree = object.lines().next().unwrap();
    let signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n wsFcBAABCAAQBQJm\n -----END PGP SIGNATURE-----";
    let merge = format!(
        "{tree}\nauthor Tess <tess@example.com> 1795512345 +0000\ncommitter GitHub <noreply@github.com> 1795512345 +0000\n\
         {signature}\n\nMerge pull request #1\n"
    );
    let id = put(&repository.work(), &merge);
    repository.run(&["push", "--quiet", "--force", "origin", &format!("{id}:refs/heads/main")]);
    let message = fetch(&Git::new(settings)).await.unwrap_err().to_string();
    assert!(message.contains("signed with GPG") && message.contains(&id), "{message}");
    assert!(message.contains("by Tess <tess@example.com> and committed by GitHub <noreply@github.com>"), "{message}");
    assert!(message.contains("merge with git instead"), "{message}");
}

#[tokio::test]
async fn a_signed_tag_is_enough_and_an_unsigned_one_needs_a_signed_commit() {
    let (repository, settings) = signed();
    repository.run(&["config", "commit.gpgsign", "false"]);
    let unsigned = repository.push(&[("a.yaml", "2")], "not signed");
    repository.run(&["tag", "-s", "-m", "signed", "good"]);
    repository.run(&["tag", "-m", "not signed", "bad"]);
    repository.run(&["tag", "-m", "not signed, on a good one", "fine", "HEAD~1"]);
    repository.run(&["push", "--quiet", "--tags"]);
    let follow = |tag: &str| Git::new(GitSettings { reference: Reference::Tag(tag.into()), ..settings.clone() });
    assert_eq!(texts(&fetch(&follow("good")).await.unwrap()), "a.yaml=2");
    assert_eq!(texts(&fetch(&follow("fine")).await.unwrap()), "a.yaml=1");
    refused(&follow("bad"), &unsigned, "it is not signed").await;
    let changed = repository.run(&["cat-file", "tag", "good"]).replace("\n\nsigned\n", "\n\nsIgned\n") + "\n";
    let id = put_kind(&repository.work(), "tag", &changed);
    repository.run(&["push", "--quiet", "--force", "origin", &format!("{id}:refs/tags/good")]);
    refused(&follow("good"), &unsigned, "changed after it was signed").await;
}

fn put(work: &Path, object: &str) -> String {
    put_kind(work, "commit", object)
}

fn put_kind(work: &Path, kind: &str, object: &str) -> String {
    let mut command = Command::new("git");
    command.current_dir(work).args(["hash-object", "-w", "-t", kind, "--stdin"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(object.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
