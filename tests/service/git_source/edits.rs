//! Adding a file as a commit: on the current tip, with its author, never by force, and not at all if it is refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use agentpod::{
    core::{
        declare::edit::{FileChange, SourceFiles},
        problem::Problem,
    },
    source::{
        Edit, Edited, Git, NotEdited,
        git::{Credentials, GitSettings, Reference},
    },
};

use super::{fetch, file, local, settings, texts};
use crate::testkit::{
    git_http::{GitHttp, Manner},
    repository::{Repository, git, public},
    sshd::Sshd,
};

const LOGIN: &str = "tess:s3cret-pa55word";

/// An edit of a new file, which calls `meanwhile` before each decision.
fn edit(name: &str, meanwhile: impl Fn(usize) + Send + Sync + 'static) -> Edit {
    let (name, asked) = (name.to_owned(), AtomicUsize::new(0));
    let decide = move |files: &SourceFiles| {
        meanwhile(asked.fetch_add(1, Ordering::Relaxed));
        assert!(!files.contains_key(&name));
        Ok(FileChange { path: name.clone(), before: None, after: Some("new: file\n".into()) })
    };
    Edit { decide: Arc::new(decide), author: "olga@example.com".into(), summary: "Add pod alice/new".into() }
}

fn plain() -> Edit {
    edit("alice-new.yaml", |_| {})
}

/// A repository behind a server that needs a password and accepts pushes, and settings with the password.
async fn with_password() -> (Arc<Repository>, GitHttp, GitSettings) {
    let repository = Arc::new(Repository::with(&[("agents/a.yaml", "1"), ("README.md", "hello")]));
    git(&repository.bare(), &["config", "http.receivepack", "true"]);
    let server = GitHttp::start(repository.root(), Some(LOGIN)).await;
    fs::write(repository.path("password"), "s3cret-pa55word\n").unwrap();
    let credentials = Credentials {
        user: Some("tess".into()),
        password: file(&repository.path("password")),
        ..Credentials::default()
    };
    let settings = GitSettings { credentials, path: "agents".into(), ..settings(&server.url(), repository.root()) };
    (repository, server, settings)
}

fn tip(repository: &Repository) -> String {
    git(&repository.bare(), &["rev-parse", "main"])
}

fn show(repository: &Repository, format: &str) -> String {
    git(&repository.bare(), &["show", "--no-patch", &format!("--format={format}"), "main"])
}

/// The message of an error, which contains no credential.
fn why(outcome: Result<Edited, NotEdited>) -> String {
    let why = outcome.expect_err("this is refused").to_string();
    let said = format!("{why} {}", crate::testkit::log::text());
    assert!(!said.contains("s3cret") && !said.contains("Basic "), "{said}");
    why
}

#[tokio::test]
async fn a_file_becomes_a_commit_on_the_tip_with_its_author() {
    let (repository, server, settings) = with_password().await;
    repository.push(&[("agents/b.yaml", "2")], "more");
    let before = tip(&repository);
    let git_source = Git::new(settings);
    let added = git_source.edit(plain()).await.unwrap();
    assert_eq!((added.file.as_str(), added.commit.clone()), ("alice-new.yaml", Some(tip(&repository))));
    assert!(added.location().ends_with(&tip(&repository)[..10]), "{}", added.location());
    assert_eq!(show(&repository, "%P"), before, "the tip is its only parent");
    assert_eq!(
        show(&repository, "%an <%ae>, %cn <%ce>"),
        "olga@example.com <olga.example.com@agentpod>, AgentPod <agentpod@agentpod>"
    );
    assert_eq!(show(&repository, "%B"), "Add pod alice/new\n\nMade-on-the-dashboard-by: olga@example.com");
    let changed = git(&repository.bare(), &["diff", "--name-status", &before, "main"]);
    assert_eq!(changed, "A\tagents/alice-new.yaml", "nothing else");
    git(&repository.bare(), &["fsck", "--strict"]);
    assert_eq!(texts(&fetch(&git_source).await.unwrap()), "a.yaml=1 alice-new.yaml=new: file\n b.yaml=2");
    // Again, on top of our own commit.
    git_source.edit(edit("second.yaml", |_| {})).await.unwrap();
    assert_eq!(show(&repository, "%P"), added.commit.unwrap());
    assert_eq!(server.refused(), 0);
}

#[tokio::test]
async fn an_edit_is_applied_to_a_branch_that_moved_meanwhile() {
    let (repository, _server, settings) = with_password().await;
    let moving = repository.clone();
    let moves = move |time| {
        if time < 2 {
            moving.push(&[("agents/b.yaml", &format!("{time}"))], &format!("meanwhile {time}"));
        }
    };
    Git::new(settings).edit(edit("new.yaml", moves)).await.unwrap();
    let log = git(&repository.bare(), &["log", "--format=%s", "main"]);
    assert_eq!(log, "Add pod alice/new\nmeanwhile 1\nmeanwhile 0\nthe first");
    assert_eq!(git(&repository.bare(), &["show", "main:agents/b.yaml"]), "1", "what came meanwhile is there");
}

#[tokio::test]
async fn an_edit_is_given_up_after_three_moves_of_the_branch() {
    let (repository, _server, settings) = with_password().await;
    let (moving, times) = (repository.clone(), Arc::new(AtomicUsize::new(0)));
    let count = times.clone();
    let moves = move |time| {
        count.fetch_add(1, Ordering::Relaxed);
        moving.push(&[("agents/b.yaml", &format!("{time}"))], "meanwhile");
    };
    let why = why(Git::new(settings).edit(edit("new.yaml", moves)).await);
    assert!(why.contains("moved during each of 3 attempts"), "{why}");
    assert_eq!((times.load(Ordering::Relaxed), show(&repository, "%s")), (3, "meanwhile".into()));
}

#[tokio::test]
async fn a_rejected_push_gives_the_reason_and_changes_nothing() {
    let (repository, server, settings) = with_password().await;
    let (before, git_source) = (tip(&repository), Git::new(settings));
    // A hook rejects the push.
    let hook = repository.bare().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\ncat > /dev/null\necho nobody pushes to main >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let message = why(git_source.edit(plain()).await);
    assert!(message.contains("rejected the commit: pre-receive hook declined"), "{message}");
    fs::remove_file(hook).unwrap();
    // Pushing is not allowed.
    git(&repository.bare(), &["config", "http.receivepack", "false"]);
    let message = why(git_source.edit(plain()).await);
    assert!(message.contains("AgentPod may not push") && message.contains("that may push to this branch"), "{message}");
    git(&repository.bare(), &["config", "http.receivepack", "true"]);
    // The password is refused, then the server hangs up.
    server.let_in("somebody:else");
    let message = why(git_source.edit(plain()).await);
    assert!(message.contains("refused access"), "{message}");
    server.answers(Manner::HangsUp);
    let message = why(git_source.edit(plain()).await);
    assert!(message.contains("cannot fetch"), "{message}");
    assert_eq!(tip(&repository), before);
}

#[tokio::test]
async fn an_edit_waits_for_a_remote_that_hangs_only_until_the_timeout() {
    let (_repository, server, settings) = with_password().await;
    server.answers(Manner::Never);
    let git_source = Git::new(GitSettings { timeout: std::time::Duration::from_millis(300), ..settings });
    let message = why(git_source.edit(plain()).await);
    let says = |words: &str| message.contains(words);
    assert!(
        says("did not answer") && (says("whether the branch has the commit") || says("nothing was committed")),
        "{message}"
    );
}

#[tokio::test]
async fn an_edit_without_a_free_path_is_not_committed() {
    let repository = Repository::with(&[("a.yaml", "1"), ("new.yaml/b.yaml", "2")]);
    let (before, git_source) = (tip(&repository), Git::new(local(&repository)));
    let decide = |_: &SourceFiles| Err(vec![Problem::of_file("new.yaml", "it is declared already")]);
    let message = why(git_source.edit(Edit { decide: Arc::new(decide), ..plain() }).await);
    assert!(message.contains("declared already"), "{message}");
    let message = why(git_source.edit(edit("new.yaml", |_| {})).await);
    assert!(message.contains("new.yaml exists already"), "{message}");
    let nowhere = Git::new(GitSettings { path: "none".into(), ..local(&repository) });
    let message = why(nowhere.edit(plain()).await);
    assert!(message.contains("no such folder"), "{message}");
    assert_eq!(tip(&repository), before);
}

#[tokio::test]
async fn tags_and_signed_sources_cannot_be_edited() {
    let repository = Repository::with(&[("a.yaml", "1")]);
    repository.run(&["tag", "v1"]);
    repository.run(&["push", "--quiet", "origin", "v1"]);
    let before = tip(&repository);
    let tag = GitSettings { reference: Reference::Tag("v1".into()), ..local(&repository) };
    let message = why(Git::new(tag).edit(plain()).await);
    assert!(message.contains("follows a tag"), "{message}");
    let signed = GitSettings { signers: Some(repository.path("signers")), ..local(&repository) };
    let message = why(Git::new(signed).edit(plain()).await);
    assert!(message.contains("would not be signed"), "{message}");
    assert_eq!(tip(&repository), before);
}

#[tokio::test]
async fn named_branches_folders_links_and_ssh_can_be_edited() {
    let repository = Repository::with(&[("real/a.yaml", "1")]);
    std::os::unix::fs::symlink("real", repository.work().join("linked")).unwrap();
    repository.push_all("a link");
    repository.run(&["push", "--quiet", "origin", "HEAD:refs/heads/other"]);
    let before = tip(&repository);
    let other =
        GitSettings { reference: Reference::Branch("other".into()), path: "linked".into(), ..local(&repository) };
    Git::new(other).edit(plain()).await.unwrap();
    assert_eq!(git(&repository.bare(), &["show", "other:real/alice-new.yaml"]), "new: file");
    assert_eq!(tip(&repository), before, "the other branch only");

    let (host, key) = (repository.key("host", ""), repository.key("key", ""));
    let server = Sshd::start(repository.root(), &host, &public(&key));
    let known = repository.path("known_hosts");
    fs::write(&known, format!("[127.0.0.1]:{} {}\n", server.port, public(&host))).unwrap();
    let url = server.url(&repository.bare());
    let ssh = GitSettings {
        credentials: Credentials { key: file(&key), ..Credentials::default() },
        known_hosts: Some(known),
        path: "real".into(),
        ..settings(&url, repository.root())
    };
    let added = Git::new(ssh).edit(plain()).await.unwrap();
    assert_eq!(added.commit, Some(tip(&repository)));
    assert_eq!(show(&repository, "%P"), before);
}
