//! Whole states of the source, accepted or rejected, and the files of the one in force.

use std::collections::BTreeMap;

use agentpod::core::{
    adapter::AdapterFiles,
    problem::{Position, Problem},
};
use sqlx::{Connection, PgConnection};

use crate::{at, dump, fresh};

fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("a.yaml".to_owned(), text.as_bytes().to_vec()), ("b/c.bin".to_owned(), vec![0, 255, 10])])
}

fn adapters(text: &str) -> AdapterFiles {
    AdapterFiles {
        adapters: BTreeMap::from([("echo/adapter.yaml".to_owned(), text.as_bytes().to_vec())]),
        templates: BTreeMap::from([("echo/echo.json.j2".to_owned(), vec![b'{', 0, b'}'])]),
    }
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
    store.accept("h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let judged = store.accept("h2", "dir:/m", &files("two"), &adapters("1"), at(2)).await.unwrap();
    assert!(judged.is_new);
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!(
        (last.id, last.hash.as_str(), last.origin.as_str(), last.accepted_at),
        (judged.id, "h2", "dir:/m", at(2))
    );
    assert_eq!((last.files, last.adapters), (files("two"), Some(adapters("1"))));
}

#[tokio::test]
async fn other_adapters_make_another_revision_of_the_same_files_and_each_set_is_kept_once() {
    let (store, options) = fresh().await;
    let first = store.accept("h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let second = store.accept("h1", "dir:/m", &files("one"), &adapters("2"), at(2)).await.unwrap();
    assert!(second.is_new && second.id > first.id);
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!((last.id, last.adapters), (second.id, Some(adapters("2"))));
    let kept = async || -> i64 {
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM adapter_files").fetch_one(&mut connection).await.unwrap()
    };
    assert_eq!(kept().await, 4, "two files of each set");
    for n in 0..50 {
        store.accept(&format!("h{n}"), "dir:/m", &files("one"), &adapters("3"), at(10 + n)).await.unwrap();
    }
    assert_eq!(kept().await, 2, "what no kept revision was accepted with is forgotten, and the rest stands once");
}

#[tokio::test]
async fn a_revision_from_before_adapters_were_kept_says_so_and_is_kept_anew_with_them() {
    let (store, options) = fresh().await;
    store.accept("h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query("UPDATE revisions SET adapters = NULL").execute(&mut connection).await.unwrap();
    assert_eq!(store.last_accepted().await.unwrap().unwrap().adapters, None);
    assert!(store.accept("h", "dir:/m", &files("one"), &adapters("1"), at(2)).await.unwrap().is_new);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().adapters, Some(adapters("1")));
}

#[tokio::test]
async fn an_empty_revision_can_be_accepted() {
    let (store, _) = fresh().await;
    store.accept("h", "dir:/m", &BTreeMap::new(), &adapters("1"), at(1)).await.unwrap();
    assert!(store.last_accepted().await.unwrap().unwrap().files.is_empty());
}

#[tokio::test]
async fn the_same_verdict_on_the_same_files_writes_no_row() {
    let (store, options) = fresh().await;
    let first = store.accept("h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    let before = dump(&options).await;
    let second = store.accept("h", "dir:/m", &files("one"), &adapters("1"), at(2)).await.unwrap();
    assert_eq!((second.id, second.is_new), (first.id, false));
    assert_eq!(dump(&options).await, before);
    store.reject("bad", "dir:/m", &[problem()], at(3)).await.unwrap();
    let before = dump(&options).await;
    assert!(!store.reject("bad", "dir:/m", &[problem()], at(4)).await.unwrap().is_new);
    assert_eq!(dump(&options).await, before);
}

#[tokio::test]
async fn the_same_files_from_another_commit_are_the_same_revision_and_name_the_newer_commit() {
    let (store, _) = fresh().await;
    store.accept("h", "git:main@aaa", &files("one"), &adapters("1"), at(1)).await.unwrap();
    assert!(!store.accept("h", "git:main@bbb", &files("one"), &adapters("1"), at(2)).await.unwrap().is_new);
    let newest = store.newest().await.unwrap().unwrap();
    assert_eq!((newest.origin.as_str(), newest.accepted_at), ("git:main@bbb", Some(at(1))));
}

#[tokio::test]
async fn a_rejected_revision_shows_its_problems_and_the_accepted_one_stays_in_force() {
    let (store, _) = fresh().await;
    store.accept("good", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    store.reject("bad", "dir:/m", &[problem()], at(2)).await.unwrap();
    let newest = store.newest().await.unwrap().unwrap();
    assert_eq!((newest.hash.as_str(), newest.accepted_at, newest.fetched_at), ("bad", None, at(2)));
    assert_eq!(newest.problems, [problem()]);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().hash, "good");
    // The same files again, now judged otherwise: an adapter was mended.
    assert!(store.accept("bad", "dir:/m", &files("two"), &adapters("1"), at(3)).await.unwrap().is_new);
    assert_eq!(store.last_accepted().await.unwrap().unwrap().files, files("two"));
}

#[tokio::test]
async fn going_back_to_earlier_files_is_a_new_revision() {
    let (store, _) = fresh().await;
    let first = store.accept("h1", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap();
    store.accept("h2", "dir:/m", &files("two"), &adapters("1"), at(2)).await.unwrap();
    let third = store.accept("h1", "dir:/m", &files("one"), &adapters("1"), at(3)).await.unwrap();
    assert!(third.is_new && third.id > first.id);
}

#[tokio::test]
async fn a_revision_is_applied_once() {
    let (store, _) = fresh().await;
    let id = store.accept("h", "dir:/m", &files("one"), &adapters("1"), at(1)).await.unwrap().id;
    assert!(store.mark_applied(id, at(2)).await.unwrap());
    assert!(!store.mark_applied(id, at(3)).await.unwrap());
    assert_eq!(store.newest().await.unwrap().unwrap().applied_at, Some(at(2)));
}

#[tokio::test]
async fn fifty_accepted_revisions_keep_their_files_however_many_are_rejected_in_between() {
    let (store, options) = fresh().await;
    for n in 0..53 {
        store.accept(&format!("h{n}"), "dir:/m", &files("x"), &adapters("1"), at(n)).await.unwrap();
    }
    for n in 0..60 {
        store.reject(&format!("bad{n}"), "dir:/m", &[problem()], at(100 + n)).await.unwrap();
    }
    store.accept("h53", "dir:/m", &files("x"), &adapters("1"), at(200)).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let (with_files, all): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(DISTINCT revision) FROM revision_files), (SELECT count(*) FROM revisions)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((with_files, all), (50, 114));
    let last = store.last_accepted().await.unwrap().unwrap();
    assert_eq!((last.hash.as_str(), last.files), ("h53", files("x")));
}
