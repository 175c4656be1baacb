//! Branches that are rewritten, deleted and restored, and damaged caches.

use std::{fs, path::PathBuf};

use agentpod::source::{
    Git,
    git::{GitSettings, Reference},
};

use super::{fetch, local, texts, why};
use crate::testkit::repository::Repository;

#[tokio::test]
async fn the_default_branch_a_named_one_and_both_kinds_of_tags_are_followed() {
    let repository = Repository::with(&[("a.yaml", "1")]);
    repository.run(&["tag", "light"]);
    repository.run(&["tag", "-m", "with a message", "heavy"]);
    repository.run(&["switch", "--quiet", "--create", "next"]);
    repository.push(&[("a.yaml", "2")], "on next");
    repository.run(&["push", "--quiet", "--tags"]);
    for (reference, text) in [
        (Reference::Head, "a.yaml=1"),
        (Reference::Branch("next".into()), "a.yaml=2"),
        (Reference::Tag("light".into()), "a.yaml=1"),
        (Reference::Tag("heavy".into()), "a.yaml=1"),
    ] {
        let git = Git::new(GitSettings { reference: reference.clone(), ..local(&repository) });
        assert_eq!(texts(&fetch(&git).await.unwrap()), text, "{reference:?}");
    }
    let git = Git::new(GitSettings { reference: Reference::Tag("heavy".into()), ..local(&repository) });
    fetch(&git).await.unwrap();
    repository.run(&["tag", "--force", "-m", "moved", "heavy"]);
    repository.run(&["push", "--quiet", "--force", "--tags"]);
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2", "a tag that moves is followed");
    for (reference, name) in
        [(Reference::Branch("none".into()), "no branch none"), (Reference::Tag("none".into()), "no tag none")]
    {
        let message = why(fetch(&Git::new(GitSettings { reference, ..local(&repository) })).await);
        assert!(message.contains(name) && (message.contains("next") || message.contains("heavy")), "{message}");
    }
}

#[tokio::test]
async fn a_rewritten_history_is_followed() {
    let repository = Repository::with(&[("a.yaml", "1")]);
    repository.push(&[("a.yaml", "2")], "the second");
    let git = Git::new(local(&repository));
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2");
    repository.run(&["reset", "--quiet", "--hard", "HEAD~1"]);
    repository.push(&[("a.yaml", "3")], "instead of the second");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=3");
    repository.run(&["checkout", "--quiet", "--orphan", "anew"]);
    repository.run(&["branch", "--quiet", "--delete", "--force", "main"]);
    repository.run(&["branch", "--quiet", "--move", "main"]);
    repository.push(&[("a.yaml", "4")], "a history of its own");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=4");
}

#[tokio::test]
async fn a_deleted_branch_is_an_error_and_one_that_comes_back_is_followed_again() {
    let repository = Repository::with(&[("a.yaml", "1")]);
    let git = Git::new(GitSettings { reference: Reference::Branch("main".into()), ..local(&repository) });
    fetch(&git).await.unwrap();
    repository.run(&["push", "--quiet", "origin", "HEAD:refs/heads/other"]);
    crate::testkit::repository::git(&repository.bare(), &["update-ref", "-d", "refs/heads/main"]);
    let message = why(fetch(&git).await);
    assert!(message.contains("no branch main") && message.contains("nothing was changed"), "{message}");
    assert!(git.health().last_error.is_some() && git.health().last_read.is_some());
    repository.push(&[("a.yaml", "2")], "back again");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2");
    assert_eq!(git.health().last_error, None);
}

#[tokio::test]
async fn a_damaged_cache_is_fetched_again() {
    let repository = Repository::with(&[("a.yaml", "1")]);
    let cache = || -> PathBuf { fs::read_dir(repository.path("caches")).unwrap().next().unwrap().unwrap().path() };
    fetch(&Git::new(local(&repository))).await.unwrap();
    let damages: [(&str, Damage); 4] = [
        ("objects are cut off", |cache| every_object(&cache, |bytes| bytes.truncate(bytes.len() / 2))),
        ("objects hold something else", |cache| {
            every_object(&cache, |bytes| bytes.iter_mut().skip(14).for_each(|byte| *byte ^= 0x55));
        }),
        ("objects are gone", |cache| fs::remove_dir_all(cache.join("objects")).unwrap()),
        ("the head is nonsense", |cache| fs::write(cache.join("HEAD"), [0, 159, 146]).unwrap()),
    ];
    for (what, damage) in damages {
        damage(cache());
        // As after a restart, with no state in memory.
        let read = fetch(&Git::new(local(&repository))).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(texts(&read), "a.yaml=1", "{what}");
    }
    fs::remove_dir_all(cache()).unwrap();
    fs::write(repository.path("caches").join("nothing"), "").unwrap();
    assert!(fetch(&Git::new(local(&repository))).await.is_ok());
    // In a running process, damage shows only at the next fetch.
    let git = Git::new(local(&repository));
    fetch(&git).await.unwrap();
    fs::remove_file(repository.path("caches").join("nothing")).unwrap();
    fs::remove_dir_all(cache().join("objects")).unwrap();
    repository.push(&[("a.yaml", "2")], "the second");
    assert_eq!(texts(&fetch(&git).await.unwrap()), "a.yaml=2");
}

type Damage = fn(PathBuf);

fn every_object(cache: &std::path::Path, change: impl Fn(&mut Vec<u8>)) {
    let mut folders = vec![cache.join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|end| end == "pack") {
                let mut bytes = fs::read(&path).unwrap();
                change(&mut bytes);
                let _ = fs::remove_file(&path);
                fs::write(&path, bytes).unwrap();
            }
        }
    }
}
