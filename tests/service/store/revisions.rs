//! Whole states of the source, accepted or rejected, and the files of the one in force.

use std::collections::BTreeMap;

use agentpod::{
    core::{
        declare::{adapter::AdapterFiles, commit::Commit},
        problem::{Position, Problem},
    },
    store::{Fetched, RecordedRevision, Result, RevisionFiles, Store},
};
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use super::{at, dump, fresh};

fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("a.yaml".to_owned(), text.as_bytes().to_vec()), ("b/c.bin".to_owned(), vec![0, 255, 10])])
}

fn adapters(text: &str) -> AdapterFiles {
    AdapterFiles {
        adapters: BTreeMap::from([("echo/adapter.yaml".to_owned(), text.as_bytes().to_vec())]),
        templates: BTreeMap::from([("echo/echo.json.j2".to_owned(), vec![b'{', 0, b'}'])]),
    }
}

async fn accept(
    store: &Store,
    hash: &str,
    origin: &str,
    files: &BTreeMap<String, Vec<u8>>,
    adapters: &AdapterFiles,
    now: OffsetDateTime,
) -> Result<RecordedRevision> {
    store.accept(&Fetched { hash, origin, commit: None, files, adapters }, now).await
}

async fn reject(
    store: &Store,
    hash: &str,
    origin: &str,
    problems: &[Problem],
    now: OffsetDateTime,
) -> Result<RecordedRevision> {
    let (files, adapters) = (files(hash), adapters("1"));
    store.reject(&Fetched { hash, origin, commit: None, files: &files, adapters: &adapters }, problems, now).await
}

fn commit(id: &str, summary: &str) -> Commit {
    Commit { id: id.repeat(20), author: "Ada <ada@example.com>".into(), summary: summary.into(), committed_at: at(-5) }
}

fn problem() -> Problem {
    let text = "spec:\n  adaptr: x\n";
    Problem::of_file("a.yaml", "unknown field")
        .at(Position { line: 2, column: 3 }, text)
        .hint("did you mean \"adapter\"?")
}

#[tokio::test]
async fn the_last_accepted_revision_comes_back_byte_for_byte() {
    let (store, _) = fresh().await;
    assert!(store.last_accepted().await.unwrap().is_none() && store.newest().await.unwrap().is_none());
    accept(&store, "h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let checked = accept(&store, "h2", "dir:/m", &files("two"), &adapters("1"), at(2)).await.unwrap();
    assert!(checked.is_new);
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!(
        (last.id, last.hash.as_str(), last.origin.as_str(), last.accepted_at),
        (checked.id, "h2", "dir:/m", at(2))
    );
    assert_eq!((last.files, last.adapters), (files("two"), Some(adapters("1"))));
}

#[tokio::test]
async fn other_adapters_make_another_revision_of_the_same_files_and_each_set_is_kept_once() {
    let (store, options) = fresh().await;
    let first = accept(&store, "h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let second = accept(&store, "h1", "dir:/m", &files("one"), &adapters("2"), at(2)).await.unwrap();
    assert!(second.is_new && second.id > first.id);
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!((last.id, last.adapters), (second.id, Some(adapters("2"))));
    let kept = async || -> i64 {
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM adapter_files").fetch_one(&mut connection).await.unwrap()
    };
    assert_eq!(kept().await, 4, "two files of each set");
    for n in 0..50 {
        accept(&store, &format!("h{n}"), "dir:/m", &files("one"), &adapters("3"), at(10 + n)).await.unwrap();
    }
    assert_eq!(kept().await, 2, "what no kept revision was accepted with is forgotten, and the rest stands once");
}

#[tokio::test]
async fn a_revision_from_before_adapters_were_kept_says_so_and_is_kept_anew_with_them() {
    let (store, options) = fresh().await;
    accept(&store, "h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query("UPDATE revisions SET adapters = NULL").execute(&mut connection).await.unwrap();
    assert_eq!(store.last_accepted().await.unwrap().unwrap().adapters, None);
    assert!(accept(&store, "h", "dir:/m", &files("one"), &adapters("1"), at(2)).await.unwrap().is_new);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().adapters, Some(adapters("1")));
}

#[tokio::test]
async fn an_empty_revision_can_be_accepted() {
    let (store, _) = fresh().await;
    accept(&store, "h", "dir:/m", &BTreeMap::new(), &adapters("1"), at(1)).await.unwrap();
    assert!(store.last_accepted().await.unwrap().unwrap().files.is_empty());
}

#[tokio::test]
async fn the_same_verdict_on_the_same_files_writes_no_row() {
    let (store, options) = fresh().await;
    let first = accept(&store, "h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let before = dump(&options).await;
    let second = accept(&store, "h", "dir:/m", &files("one"), &adapters("1"), at(2)).await.unwrap();
    assert_eq!((second.id, second.is_new), (first.id, false));
    assert_eq!(dump(&options).await, before);
    reject(&store, "bad", "dir:/m", &[problem()], at(3)).await.unwrap();
    let before = dump(&options).await;
    assert!(!reject(&store, "bad", "dir:/m", &[problem()], at(4)).await.unwrap().is_new);
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn the_same_files_from_another_commit_are_the_same_revision_and_name_the_newer_commit() {
    let (store, options) = fresh().await;
    let (files, adapters) = (files("one"), adapters("1"));
    let from = |origin, commit| Fetched { hash: "h", origin, commit: Some(commit), files: &files, adapters: &adapters };
    let (first, second) = (commit("aa", "Add alice"), commit("bb", "Say it in the README"));
    store.accept(&from("git:main", &first), at(1)).await.unwrap();
    assert_eq!(store.newest().await.unwrap().unwrap().commit, Some(first.clone()));
    let again = store.accept(&from("git:trunk", &second), at(2)).await.unwrap();
    assert_eq!((again.is_new, again.fetched_at), (false, at(1)));
    let newest = store.newest().await.unwrap().unwrap();
    assert_eq!((newest.origin.as_str(), newest.accepted_at), ("git:trunk", Some(at(1))));
    assert_eq!(
        (newest.commit, store.last_accepted().await.unwrap().unwrap().commit),
        (Some(second.clone()), Some(second.clone()))
    );
    let before = dump(&options).await;
    store.accept(&from("git:trunk", &second), at(3)).await.unwrap();
    assert_eq!(dump(&options).await, before, "said once, it is not written again");
    // A rejected one does the same, and what is in force keeps its own.
    let bad = |commit| Fetched { hash: "bad", ..from("git:trunk", commit) };
    store.reject(&bad(&first), &[problem()], at(4)).await.unwrap();
    assert!(!store.reject(&bad(&second), &[problem()], at(5)).await.unwrap().is_new);
    assert_eq!(store.newest().await.unwrap().unwrap().commit, Some(second.clone()));
    assert_eq!(store.in_force().await.unwrap().unwrap().hash, "h");
}

#[tokio::test]
async fn a_commit_may_say_anything() {
    let (store, _) = fresh().await;
    let (files, adapters) = (files("one"), adapters("1"));
    let commit = Commit { author: "a\0b".into(), summary: String::new(), ..commit("aa", "") };
    let fetched = Fetched { hash: "h", origin: "git", commit: Some(&commit), files: &files, adapters: &adapters };
    store.accept(&fetched, at(1)).await.unwrap();
    let kept = store.newest().await.unwrap().unwrap().commit.unwrap();
    assert_eq!((kept.author.as_str(), kept.summary.as_str()), ("a\u{fffd}b", ""));
}

#[tokio::test]
async fn revisions_are_listed_newest_first_and_found_one_by_one() {
    let (store, _) = fresh().await;
    let first = accept(&store, "h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap().id;
    let bad = reject(&store, "bad", "dir:/m", &[problem()], at(2)).await.unwrap().id;
    let second = accept(&store, "h2", "dir:/m", &files("two"), &adapters("1"), at(3)).await.unwrap().id;
    let ids = async |limit| store.revisions(None, limit).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!((ids(10).await, ids(2).await), (vec![second, bad, first], vec![second, bad]));
    assert_eq!(store.revision(bad).await.unwrap().unwrap().problems, [problem()]);
    assert_eq!(store.accepted_before(second).await.unwrap().unwrap().id, first, "the rejected one was never in force");
    assert!(store.accepted_before(first).await.unwrap().is_none() && store.revision(999).await.unwrap().is_none());
    let kept = RevisionFiles { manifests: files("bad"), adapters: Some(adapters("1")) };
    assert_eq!(store.files_of(bad).await.unwrap(), Some(kept), "what was rejected can be looked at");
    assert_eq!(store.files_of(999).await.unwrap(), None);
}

#[tokio::test]
async fn a_rejected_revision_shows_its_problems_and_the_accepted_one_stays_in_force() {
    let (store, _) = fresh().await;
    accept(&store, "good", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    reject(&store, "bad", "dir:/m", &[problem()], at(2)).await.unwrap();
    let newest = store.newest().await.unwrap().unwrap();
    assert_eq!((newest.hash.as_str(), newest.accepted_at, newest.fetched_at), ("bad", None, at(2)));
    assert_eq!(newest.problems, [problem()]);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().hash, "good");
    // The same files again, now judged otherwise: an adapter was mended.
    assert!(accept(&store, "bad", "dir:/m", &files("two"), &adapters("1"), at(3)).await.unwrap().is_new);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().files, files("two"));
}

#[tokio::test]
async fn going_back_to_earlier_files_is_a_new_revision() {
    let (store, _) = fresh().await;
    let first = accept(&store, "h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    accept(&store, "h2", "dir:/m", &files("two"), &adapters("1"), at(2)).await.unwrap();
    let third = accept(&store, "h1", "dir:/m", &files("one"), &adapters("1"), at(3)).await.unwrap();
    assert!(third.is_new && third.id > first.id);
}

#[tokio::test]
async fn a_revision_is_synced_once() {
    let (store, _) = fresh().await;
    let id = accept(&store, "h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap().id;
    assert!(store.mark_synced(id, at(2)).await.unwrap());
    assert!(!store.mark_synced(id, at(3)).await.unwrap());
    assert_eq!(store.newest().await.unwrap().unwrap().synced_at, Some(at(2)));
}

#[tokio::test]
async fn fifty_accepted_revisions_keep_their_files_however_many_are_rejected_in_between() {
    let (store, options) = fresh().await;
    for n in 0..53 {
        accept(&store, &format!("h{n}"), "dir:/m", &files("x"), &adapters("1"), at(n)).await.unwrap();
    }
    for n in 0..60 {
        reject(&store, &format!("bad{n}"), "dir:/m", &[problem()], at(100 + n)).await.unwrap();
    }
    accept(&store, "h53", "dir:/m", &files("x"), &adapters("1"), at(200)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let (with_files, all): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(DISTINCT revision) FROM revision_files), (SELECT count(*) FROM revisions)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((with_files, all), (70, 114), "and the newest twenty rejected ones keep theirs");
    let all = store.revisions(None, 1000).await.unwrap();
    let (oldest, newest_bad) = (all.last().unwrap().id, all[1].id);
    assert!(store.files_of(oldest).await.unwrap().is_none() && store.files_of(newest_bad).await.unwrap().is_some());
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!((last.hash.as_str(), last.files), ("h53", files("x")));
}
