//! The contents of a commit: what is read, what is ignored, and what is refused.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use agentpod::source::{Git, SourceError, git::GitSettings};

use super::{fetch, local, settings, texts, why};
use crate::testkit::repository::Repository;

async fn problems(repository: &Repository) -> Vec<String> {
    problems_in(local(repository)).await
}

async fn problems_in(settings: GitSettings) -> Vec<String> {
    let error = fetch(&Git::new(settings)).await.unwrap_err();
    assert_eq!(error.code(), "source_refused", "{error}");
    let problems = error.problems();
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_commit_gives_the_same_files_as_a_folder_and_its_own_description() {
    let repository = Repository::new();
    let id = repository.push(
        &[
            ("a.yaml", "1"),
            ("x/b.yml", "2"),
            ("README.md", "3"),
            (".hidden.yaml", "4"),
            (".github/c.yaml", "5"),
            ("a.yaml~", "6"),
        ],
        "A pod for Alice\n\nand more",
    );
    let snapshot = fetch(&Git::new(local(&repository))).await.unwrap();
    assert_eq!(texts(&snapshot), "a.yaml=1 x/b.yml=2");
    fs::remove_dir_all(repository.work().join(".git")).unwrap();
    let folder = agentpod::source::Directory::new(repository.work()).read().await.unwrap();
    assert_eq!((folder.revision, folder.files), (snapshot.revision, snapshot.files), "the same rules hold");
    let commit = snapshot.commit.unwrap();
    assert_eq!(commit.id, id);
    assert_eq!((commit.author.as_str(), commit.summary.as_str()), ("Tess <tess@example.com>", "A pod for Alice"));
    let age = time::OffsetDateTime::now_utc() - commit.committed_at;
    assert!(age.abs() < time::Duration::minutes(5), "{age}");
}

#[tokio::test]
async fn a_missing_folder_is_reported_as_missing_and_not_as_a_broken_disk() {
    let repository = Repository::with(&[("a.yaml", "a file")]);
    let nowhere = settings(&format!("file://{}/nowhere", repository.root().display()), repository.root());
    let message = why(fetch(&Git::new(nowhere)).await);
    assert!(message.contains("the repository cannot be found") && !message.contains("disk"), "{message}");
}

#[tokio::test]
async fn a_folder_of_the_repository_can_be_followed_alone() {
    let repository = Repository::with(&[("deploy/pods/a.yaml", "1"), ("other/b.yaml", "2"), ("c.yaml", "")]);
    let git = Git::new(GitSettings { path: "deploy/pods".into(), ..local(&repository) });
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1");
    assert!(git.origin().ends_with("repo.git in deploy/pods/"), "{}", git.origin());
    for (path, what) in
        [("deploy/pods/a.yaml", "a file"), ("deploy/none", "no such folder"), ("none", "no such folder")]
    {
        let message = problems_in(GitSettings { path: path.into(), ..local(&repository) }).await;
        assert!(message[0].contains(what) && message[0].contains("--git-path"), "{path}: {message:?}");
    }
}

#[tokio::test]
async fn an_empty_set_empty_manifests_and_a_repository_without_commits_are_refused() {
    let repository = Repository::new();
    let git = Git::new(local(&repository));
    let empty = fetch(&git).await.unwrap_err();
    assert!(matches!(empty, SourceError::Empty { expected: "no commit", .. }), "{empty}");
    repository.push(&[("README.md", "1")], "no manifest");
    let message = why(fetch(&git).await);
    assert!(message.contains("no manifest") && message.contains("nothing was changed"), "{message}");
    repository.push(&[("a.yaml", "1"), ("b.yaml", "")], "half written");
    let message = problems(&repository).await;
    assert!(message.len() == 1 && message[0].contains("b.yaml") && message[0].contains("empty"), "{message:?}");
    repository.push(&[("b.yaml", "2")], "whole");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=1 b.yaml=2");
    repository.run(&["rm", "--quiet", "-r", "."]);
    repository.push_all("emptied");
    let message = why(fetch(&git).await);
    assert!(message.contains("no manifest") && message.contains("nothing was changed"), "{message}");
}

#[tokio::test]
async fn links_are_followed_within_the_repository_and_refused_outside_it() {
    let repository = Repository::new();
    repository.write(&[("pods/a.yaml", "1"), ("shared/team/b.yaml", "2"), ("shared/c.txt", "3")]);
    let pods = repository.work().join("pods");
    symlink("../shared/team", pods.join("team")).unwrap();
    symlink("../shared/c.txt", pods.join("c.yaml")).unwrap();
    symlink("team/b.yaml", pods.join("d.yaml")).unwrap();
    symlink("pods", repository.work().join("current")).unwrap();
    repository.push_all("links");
    let inside = GitSettings { path: "current".into(), ..local(&repository) };
    assert_eq!(texts(&fetch(&Git::new(inside.clone())).await.unwrap()), "a.yaml=1 c.yaml=3 d.yaml=2 team/b.yaml=2");
    for (target, name, what) in [
        ("/etc/passwd", "e.yaml", "points outside the repository, to /etc/passwd"),
        ("../../elsewhere.yaml", "e.yaml", "points outside the repository"),
        ("/srv/manifests", "folder", "points outside the repository"),
        ("nowhere.yaml", "e.yaml", "nowhere.yaml, which does not exist"),
        ("e.yaml", "e.yaml", "part of a loop"),
        ("..", "folder/up", "is a loop"),
    ] {
        fs::create_dir_all(pods.join(name).parent().unwrap()).unwrap();
        symlink(target, pods.join(name)).unwrap();
        repository.push_all("a link that goes astray");
        let message = problems_in(inside.clone()).await;
        assert!(message.len() == 1 && message[0].contains(name) && message[0].contains(what), "{target}: {message:?}");
        fs::remove_file(pods.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_submodule_among_manifests_is_refused_and_one_beside_them_is_not() {
    let other = Repository::with(&[("b.yaml", "2")]);
    let repository = Repository::with(&[("pods/a.yaml", "1")]);
    repository.run(&["submodule", "--quiet", "add", other.bare().to_str().unwrap(), "vendor"]);
    repository.push_all("a submodule beside");
    let pods = GitSettings { path: "pods".into(), ..local(&repository) };
    assert_eq!(texts(&fetch(&Git::new(pods.clone())).await.unwrap()), "a.yaml=1");
    let message = problems_in(GitSettings { path: "vendor".into(), ..local(&repository) }).await;
    assert!(message[0].contains("submodule") && message[0].contains("--git"), "{message:?}");
    repository.run(&["submodule", "--quiet", "add", other.bare().to_str().unwrap(), "pods/team"]);
    repository.push_all("a submodule among");
    let message = problems_in(pods).await;
    assert!(message.len() == 1 && message[0].contains("team") && message[0].contains("submodule"), "{message:?}");
}

#[tokio::test]
async fn lfs_pointers_large_files_and_names_that_are_not_text_are_problems_of_their_files() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let large = "x".repeat((1 << 20) + 1);
    let repository =
        Repository::with(&[("a.yaml", "1"), ("b.yaml", pointer), ("big/c.yaml", &large), ("d\u{7}.yaml", "1")]);
    let message = problems(&repository).await;
    let about = |name: &str, what: &str| message.iter().any(|one| one.contains(name) && one.contains(what));
    assert!(message.len() == 3 && about("b.yaml", "Git LFS") && about("big/c.yaml", "1 MiB"), "{message:?}");
    assert!(about("d?.yaml", "not valid text"), "{message:?}");
}

#[tokio::test]
async fn ten_thousand_unrelated_files_cost_little_and_too_many_manifests_are_refused() {
    let repository = Repository::new();
    repository.write(&[("pods/a.yaml", "1")]);
    for number in 0..10_000 {
        let path = repository.work().join(format!("docs/{}", number % 50));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(format!("{number}.md")), format!("text {number}")).unwrap();
    }
    repository.push_all("a large repository");
    let git = Git::new(local(&repository));
    git.fetch().await;
    assert_eq!(texts(&git.read().await.unwrap()), "pods/a.yaml=1");
    // Everything is fetched, and the manifests have to be found in it.
    repository.push(&[("pods/a.yaml", "2")], "a change");
    let begun = Instant::now();
    assert_eq!(texts(&fetch(&git).await.unwrap()), "pods/a.yaml=2");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for number in 0..=agentpod::source::MAX_FILES {
        fs::write(repository.work().join(format!("pods/{number}.yaml")), "1").unwrap();
    }
    repository.push_all("too many manifests");
    let message = problems(&repository).await;
    assert!(message[0].contains("more than 10000 files"), "{message:?}");
}
