//! History: counted rather than repeated, read forwards, pruned by age.

use agentpod::store::{Event, Fetched};
use serde_json::json;

use super::{at, fresh};
use crate::testkit::{
    declared::{alice, pod},
    rows,
};
use agentpod::core::event::{EventKind, Severity};
use agentpod::store::view::EventLine;
use agentpod::store::view::EventQuery;
use agentpod::store::view::Page;

#[tokio::test]
async fn an_event_is_kept_with_all_that_belongs_to_it() {
    let (store, _) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let (files, adapters) = Default::default();
    let fetched = Fetched { hash: "h", origin: "here", commit: None, files: &files, adapters: &adapters };
    let revision = store.accept(&fetched, at(0)).await.unwrap().id;
    let event = Event {
        cause: Some("it ended".into()),
        revision: Some(revision),
        container: Some("alice_assistant-0011".into()),
        details: Some(json!({"exitCode": 137, "log": ["one", "two"]})),
        ..Event::of_pod(&pod("alice/assistant"), EventKind::Exited, "its container ended")
    };
    store.record(&event, at(1)).await.unwrap();
    let row = rows::events(&store, None, 1).await.remove(0);
    assert_eq!((row.pod, row.kind, row.message), (event.pod, event.kind, event.message));
    assert_eq!((row.cause, row.revision, row.container), (event.cause, event.revision, event.container));
    assert_eq!((row.details, row.count, row.first_at, row.last_at), (event.details, 1, at(1), at(1)));
}

#[tokio::test]
async fn the_same_line_within_ten_minutes_is_counted_and_later_it_is_a_new_line() {
    let (store, _) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(-1000)).await.unwrap();
    let alice = pod("alice/assistant");
    let event =
        |n: i64| Event { details: Some(json!(n)), ..Event::of_pod(&alice, EventKind::Started, "it was started") };
    for seconds in [0, 300, 599, 601, 602] {
        store.record(&event(seconds), at(seconds)).await.unwrap();
    }
    let rows: Vec<_> =
        rows::events(&store, Some(&alice), 10).await.into_iter().filter(|row| row.kind.as_str() == "started").collect();
    let seen: Vec<_> =
        rows.iter().map(|row| (row.count, row.first_at, row.last_at, row.details.clone().unwrap())).collect();
    assert_eq!(seen, [(3, at(0), at(599), json!(599)), (2, at(601), at(602), json!(602))]);
}

#[tokio::test]
async fn lines_that_differ_in_pod_or_kind_or_message_are_not_counted_as_one() {
    let (store, _) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    let (alice, bob) = (pod("alice/assistant"), pod("bob/x"));
    let none = Event { kind: EventKind::Started, message: "m".into(), ..Event::default() };
    for event in [
        Event::of_pod(&alice, EventKind::Started, "m"),
        Event::of_pod(&bob, EventKind::Started, "m"),
        Event::of_pod(&alice, EventKind::Stopped, "m"),
        Event::of_pod(&alice, EventKind::Started, "n"),
        none.clone(),
    ] {
        store.record(&event, at(1)).await.unwrap();
    }
    let rows = rows::events(&store, None, 100).await;
    assert_eq!(rows.iter().filter(|row| row.first_at == at(1)).count(), 5);
    store.record(&none, at(2)).await.unwrap();
    assert_eq!(rows::events(&store, None, 1).await[0].count, 2, "one about no pod is counted too");
}

#[tokio::test]
async fn events_are_read_in_pages_from_the_newest_back() {
    let (store, _) = fresh().await;
    store.sync(&alice().pod("bob/x", "subdomain: bob").build(), at(0)).await.unwrap();
    for n in 1..=5 {
        store.record(&Event::of_pod(&pod("alice/assistant"), EventKind::Started, n.to_string()), at(n)).await.unwrap();
        store.record(&Event::of_pod(&pod("bob/x"), EventKind::Started, n.to_string()), at(n)).await.unwrap();
    }
    let person = rows::anybody();
    let read = async |limit, after| {
        let query = EventQuery { pod: Some(pod("alice/assistant")), limit, after, ..EventQuery::default() };
        store.view(&person).events(&query).await.unwrap()
    };
    let texts = |page: &Page<EventLine>| page.items.iter().map(|row| row.message.clone()).collect::<Vec<_>>();
    let newest = read(3, None).await;
    assert_eq!(texts(&newest), ["5", "4", "3"]);
    let rest = read(10, newest.next.clone()).await;
    assert_eq!((texts(&rest)[..2].to_vec(), rest.next), (vec!["2".to_owned(), "1".to_owned()], None));
    assert_eq!(texts(&read(1, newest.next).await), ["2"]);
}

#[tokio::test]
async fn events_are_read_in_the_order_in_which_they_last_happened_and_say_when_they_first_did() {
    let (store, _) = fresh().await;
    store.sync(&alice().build(), at(-2000)).await.unwrap();
    let alice = pod("alice/assistant");
    // A crash loop: what repeats is counted, and the list is still the story.
    for (seconds, kind, message) in [
        (0, EventKind::Started, "started"),
        (5, EventKind::Exited, "exited"),
        (6, EventKind::Unhealthy, "being restarted"),
        (20, EventKind::Exited, "exited"),
        (40, EventKind::Exited, "exited"),
        (41, EventKind::CrashLoop, "stopped for a while"),
    ] {
        store.record(&Event::of_pod(&alice, kind, message), at(seconds)).await.unwrap();
    }
    let person = rows::anybody();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query =
            EventQuery { pod: Some(alice.clone()), since: Some(at(0)), limit: 1, after, ..EventQuery::default() };
        let page = store.view(&person).events(&query).await.unwrap();
        seen.extend(page.items.into_iter().map(|row| (row.message, row.count, row.first_at, row.last_at)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected = [
        ("stopped for a while", 1, at(41), at(41)),
        ("exited", 3, at(5), at(40)),
        ("being restarted", 1, at(6), at(6)),
        ("started", 1, at(0), at(0)),
    ];
    assert_eq!(seen, expected.map(|(message, count, first, last)| (message.to_owned(), count, first, last)));
}

#[tokio::test]
async fn events_are_chosen_by_severity_and_worse_and_by_time() {
    let (store, _) = fresh().await;
    for (seconds, kind) in [
        (1, EventKind::DaemonStarted),
        (2, EventKind::Failed),
        (3, EventKind::SourceStale),
        (4, EventKind::SourceFresh),
        (5, EventKind::SourceRefused),
    ] {
        store.record(&Event::of_none(kind, kind.as_str()), at(seconds)).await.unwrap();
    }
    let person = rows::anybody();
    let read = async |severity, since| {
        let query = EventQuery { severity, since, ..EventQuery::default() };
        let page = store.view(&person).events(&query).await.unwrap();
        page.items.into_iter().map(|row| row.message).collect::<Vec<_>>()
    };
    assert_eq!(read(Some(Severity::Warning), None).await, ["source_refused", "source_stale", "failed"]);
    assert_eq!(read(Some(Severity::Error), Some(at(3))).await, ["source_refused"]);
    assert_eq!(read(None, Some(at(4))).await, ["source_refused", "source_fresh"]);
    assert_eq!(read(Some(Severity::Info), None).await.len(), 5);
}

#[tokio::test]
async fn old_events_are_pruned_by_when_they_happened_last() {
    let (store, _) = fresh().await;
    let event = |message: &str| Event { kind: EventKind::Started, message: message.into(), ..Event::default() };
    store.record(&event("old"), at(0)).await.unwrap();
    store.record(&event("again"), at(0)).await.unwrap();
    store.record(&event("again"), at(500)).await.unwrap();
    assert_eq!(store.prune(at(400)).await.unwrap(), 1);
    assert_eq!(rows::events(&store, None, 10).await[0].message, "again");
}

#[tokio::test]
async fn an_event_about_a_pod_or_revision_that_nobody_knows_is_kept_and_names_the_pod() {
    let (store, _) = fresh().await;
    let event = Event {
        revision: Some(404),
        ..Event::of_pod(&pod("carol/lost"), EventKind::Removed, "its container was\0removed")
    };
    store.record(&event, at(0)).await.unwrap();
    let row = rows::events(&store, None, 10).await.remove(0);
    assert_eq!((row.pod, row.revision), (None, None));
    assert_eq!(row.message, "carol/lost: its container was\u{fffd}removed");
}
