//! Over HTTP: authentication, the number of requests, and misbehaving remotes.

use std::time::{Duration, Instant};

use agentpod::source::{
    Git, Snapshot, SourceError,
    git::{Address, Credentials, GitSettings},
};

use super::{fetch, file, settings, texts, why};
use crate::testkit::{
    git_http::{GitHttp, Manner},
    repository::Repository,
};

const LOGIN: &str = "tess:s3cret-pa55word";

/// A repository behind a server that needs a password, and settings with it.
async fn with_password() -> (Repository, GitHttp, GitSettings) {
    let repository = Repository::with(&[("a.yaml", "1")]);
    let server = GitHttp::start(repository.root(), Some(LOGIN)).await;
    std::fs::write(repository.path("password"), "s3cret-pa55word\n").unwrap();
    let credentials = Credentials {
        user: Some("tess".into()),
        password: file(&repository.path("password")),
        ..Credentials::default()
    };
    let settings = GitSettings { credentials, ..settings(&server.url(), repository.root()) };
    (repository, server, settings)
}

/// Neither the outcome nor the log contains a credential.
fn gives_nothing_away(outcome: &Result<Snapshot, SourceError>) {
    let said = format!("{outcome:?} {}", crate::testkit::log::text());
    for secret in ["s3cret", "t0ken", &base64(LOGIN), "Basic "] {
        assert!(!said.contains(secret), "{secret} stands in what is said: {said}");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn an_unchanged_tip_costs_one_request_even_with_a_password_and_a_change_two_more() {
    let (repository, server, settings) = with_password().await;
    let git = Git::new(settings.clone());
    assert!(git.fetch().await);
    // The references, the depth, the commit.
    assert_eq!(server.asked().len(), 3);
    for _ in 0..3 {
        assert!(!git.fetch().await, "nothing is new");
    }
    let asked = server.asked();
    assert!(asked.len() == 3 && asked.iter().all(|one| one.starts_with("GET ")), "{asked:?}");
    for number in 2..8 {
        let text = number.to_string();
        repository.push(&[("a.yaml", &text), (&format!("{number}.md"), "x")], "more");
        assert_eq!(texts(&fetch(&git).await.unwrap()), format!("a.yaml={number}"));
        assert_eq!(server.asked().len(), 3, "the {number}th commit");
    }
    // After a restart, the cache is still there.
    assert_eq!(texts(&fetch(&Git::new(settings)).await.unwrap()), "a.yaml=7");
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.refused(), 0);
}

#[tokio::test]
async fn only_the_newest_commit_is_fetched_and_a_rewritten_history_is_followed() {
    let (repository, server, settings) = with_password().await;
    for number in 0..5 {
        repository.push(&[("a.yaml", &number.to_string())], "more");
    }
    let git = Git::new(settings);
    fetch(&git).await.unwrap();
    let cache = std::fs::read_dir(repository.path("caches")).unwrap().next().unwrap().unwrap().path();
    let count = || {
        let all = crate::testkit::repository::git(&cache, &["cat-file", "--batch-all-objects", "--batch-check"]);
        all.lines().filter(|line| line.contains(" commit ")).count()
    };
    assert_eq!(count(), 1);
    repository.run(&["reset", "--quiet", "--hard", "HEAD~2"]);
    repository.push(&[("a.yaml", "instead")], "instead");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=instead");
    repository.run(&["checkout", "--quiet", "--orphan", "anew"]);
    repository.push(&[("a.yaml", "anew")], "of its own");
    repository.run(&["push", "--quiet", "--force", "origin", "anew:main"]);
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=anew");
    assert_eq!(count(), 3);
    drop(server);
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_what_to_do_and_a_rotated_one_is_used_at_the_next_fetch() {
    let (repository, server, settings) = with_password().await;
    let git = Git::new(settings.clone());
    fetch(&git).await.unwrap();
    server.let_in("tess:s3cret-rotated");
    let refused = fetch(&git).await;
    gives_nothing_away(&refused);
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "source_denied", "{error}");
    assert!(error.to_string().contains("token or password is right"), "{error}");
    std::fs::write(repository.path("password"), "s3cret-rotated\n").unwrap();
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1", "without a restart");
    std::fs::remove_file(repository.path("password")).unwrap();
    let message = why(fetch(&git).await);
    assert!(message.contains("no such file") && message.contains("password"), "{message}");
    let nobody = Git::new(GitSettings { credentials: Credentials::default(), ..settings.clone() });
    let message = why(fetch(&nobody).await);
    assert!(message.contains("--git-token-file"), "{message}");
    // A token needs no user name.
    server.let_in("x-access-token:t0ken-t0ken");
    std::fs::write(repository.path("token"), "t0ken-t0ken").unwrap();
    let credentials = Credentials { password: file(&repository.path("token")), ..Credentials::default() };
    let with_token = fetch(&Git::new(GitSettings { credentials, ..settings })).await;
    gives_nothing_away(&with_token);
    assert_eq!(texts(&with_token.unwrap()), "a.yaml=1");
}

#[tokio::test]
async fn a_misbehaving_remote_is_an_error_until_it_recovers() {
    let (_repository, server, settings) = with_password().await;
    let git = Git::new(GitSettings { timeout: Duration::from_secs(3), ..settings });
    fetch(&git).await.unwrap();
    let manners = [
        (Manner::HangsUp, "cannot fetch"),
        (Manner::Never, "did not answer within 3 s"),
        (Manner::Says(500, "s3cret-pa55word".into()), "cannot fetch"),
        (Manner::Says(404, String::new()), "the repository does not exist"),
        (Manner::Says(200, "<html>s3cret-pa55word</html>".into()), "cannot fetch"),
    ];
    for (manner, what) in manners {
        server.answers(manner.clone());
        let begun = Instant::now();
        let outcome = fetch(&git).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{manner:?}");
        gives_nothing_away(&outcome);
        let message = why(outcome);
        assert!(message.contains(what) && message.starts_with(&server.url()), "{manner:?}: {message}");
        assert!(git.health().last_error.is_some());
        server.answers(Manner::Well);
        assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1", "after {manner:?}");
    }
}

#[tokio::test]
async fn a_conversation_that_hangs_ends_with_its_time_and_keeps_nothing_from_the_next() {
    let (_repository, server, settings) = with_password().await;
    let git = Git::new(GitSettings { timeout: Duration::from_millis(300), ..settings.clone() });
    server.answers(Manner::Never);
    for _ in 0..5 {
        assert!(why(fetch(&git).await).contains("did not answer within"));
    }
    server.answers(Manner::Well);
    assert_eq!(texts(&fetch(&Git::new(settings)).await.unwrap()), "a.yaml=1");
}

#[tokio::test]
async fn a_password_is_sent_to_the_same_scheme_host_and_port_only() {
    let (repository, server, settings) = with_password().await;
    let other = GitHttp::start(repository.root(), None).await;
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for elsewhere in [other.url(), other.url().replace("127.0.0.1", "localhost"), by_name] {
        server.answers(Manner::SendsTo(format!("{elsewhere}/info/refs?service=git-upload-pack")));
        let outcome = fetch(&Git::new(settings.clone())).await;
        gives_nothing_away(&outcome);
        let message = why(outcome);
        assert!(message.contains(&format!("127.0.0.1 redirects to \"{elsewhere}")), "{message}");
        assert!(message.contains("set --git to the new address"), "{message}");
        assert_eq!(other.asked(), Vec::<String>::new());
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_within_the_server_is_followed_and_one_without_end_is_named_as_such() {
    let (_repository, server, settings) = with_password().await;
    let moved = Address::parse(&server.url().replace("/repo.git", "/old/name.git")).unwrap();
    server.moves("/old/name.git", "/repo.git");
    let git = Git::new(GitSettings { address: moved, ..settings.clone() });
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1");
    server.answers(Manner::SendsTo("/repo.git/info/refs?service=git-upload-pack".into()));
    let message = why(fetch(&Git::new(settings)).await);
    assert!(message.contains("127.0.0.1 redirects again and again"), "{message}");
}

#[tokio::test]
async fn a_server_of_plain_files_and_a_repository_of_sha256_ids_are_named_as_what_they_are() {
    let (_repository, server, settings) = with_password().await;
    server.answers(Manner::Says(200, format!("{}\trefs/heads/main\n", "0a".repeat(20))));
    let message = why(fetch(&Git::new(settings)).await);
    assert!(message.contains("serves the repository as plain files"), "{message}");

    let repository = Repository::of("sha256");
    repository.push(&[("a.yaml", "1")], "the first");
    let server = GitHttp::start(repository.root(), None).await;
    for address in [server.url(), format!("file://{}", repository.bare().display())] {
        let error = fetch(&Git::new(super::settings(&address, repository.root()))).await.unwrap_err();
        assert!(error.to_string().contains("uses SHA-256 object IDs"), "{address}: {error}");
        assert_eq!(error.code(), "source_unreachable");
    }
}

#[tokio::test]
async fn a_list_of_references_without_end_is_read_up_to_a_limit() {
    let (_repository, server, settings) = with_password().await;
    server.answers(Manner::ListsWithoutEnd);
    let message = why(fetch(&Git::new(settings)).await);
    assert!(message.contains("its list of branches and tags is larger than 32 MiB"), "{message}");
}

#[tokio::test]
async fn a_remote_that_cannot_be_reached_leaves_the_cache_alone() {
    let (repository, server, settings) = with_password().await;
    fetch(&Git::new(settings.clone())).await.unwrap();
    let cache = std::fs::read_dir(repository.path("caches")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(cache.join("mark"), "").unwrap();
    drop(server);
    // Nothing listens at either.
    let key = file(&repository.key("key", ""));
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [settings.address.to_string(), format!("ssh://git@{nowhere}/repo.git")] {
        let credentials = Credentials { key: key.clone(), ..settings.credentials.clone() };
        let there = GitSettings { address: Address::parse(&address).unwrap(), credentials, ..settings.clone() };
        let error = fetch(&Git::new(there)).await.unwrap_err();
        assert_eq!(error.code(), "source_unreachable", "{error}");
        assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
    }
    assert!(cache.join("mark").exists(), "the cache was thrown away");
}
