//! What people ask for, as rows: refused where it makes no sense, ended once, together with what follows from it.

use std::{collections::BTreeMap, time::Duration as Span};

use agentpod::{
    core::decide::{
        plan::Allowance,
        request::{Request, RequestRefusal, RequestSpec},
    },
    store::{AddRequestError, Store},
};
use time::Duration;

use super::{at, dump, fresh};
use crate::testkit::{
    declared::{Declared, alice, pod},
    rows,
};
use agentpod::store::view::EventLine;

fn by_alice(what: RequestSpec) -> Request {
    Request { what, actor: "alice@host".into() }
}

fn restart(id: &str) -> Request {
    by_alice(RequestSpec::Restart { pod: pod(id) })
}

fn pause(id: &str, hours: i64) -> Request {
    by_alice(RequestSpec::Pause { pod: pod(id), until: Some(at(0) + Duration::hours(hours)) })
}

async fn ask(store: &Store, request: &Request) -> i64 {
    store.add_request(request, at(0)).await.unwrap()
}

async fn refused(store: &Store, request: &Request) -> RequestRefusal {
    match store.add_request(request, at(0)).await.unwrap_err() {
        AddRequestError::Refused(refusal) => refusal,
        AddRequestError::Store(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_request_is_a_row_with_its_actor_and_its_expiry() {
    let (store, _) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let ids = [
        ask(&store, &restart("alice/assistant")).await,
        ask(&store, &by_alice(RequestSpec::Sync)).await,
        ask(&store, &by_alice(RequestSpec::Approve { plan: "0123456789ab".into() })).await,
        ask(&store, &pause("alice/assistant", 2)).await,
    ];
    let open = store.open_requests().await.unwrap();
    assert_eq!(open.iter().map(|open| open.id).collect::<Vec<_>>(), ids);
    assert_eq!(open[0].request, restart("alice/assistant"));
    assert_eq!((open[3].request.clone(), open[3].requested_at), (pause("alice/assistant", 2), at(0)));
    let hours = open.iter().map(|open| open.expires_at.map(|expires| (expires - at(0)).whole_hours()));
    assert_eq!(hours.collect::<Vec<_>>(), [Some(1), Some(1), Some(24), Some(2)]);
    for (id, one) in ids.iter().zip(&open) {
        assert_eq!(store.request(*id).await.unwrap().unwrap().open, *one);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_leaves_no_row() {
    let (store, options) = fresh().await;
    let declared =
        || Declared::tenants().pod("alice/up", "subdomain: up").pod("alice/off", "subdomain: off, state: stopped");
    store.sync(&declared().pod("bob/gone", "subdomain: gone").build(), at(0)).await.unwrap();
    store.sync(&declared().build(), at(1)).await.unwrap();
    let before = dump(&options).await;
    assert_eq!(refused(&store, &restart("bob/never")).await, RequestRefusal::Unknown(pod("bob/never")));
    assert_eq!(refused(&store, &restart("bob/gone")).await, RequestRefusal::Undeclared(pod("bob/gone")));
    assert_eq!(refused(&store, &pause("alice/off", 1)).await, RequestRefusal::DeclaredStopped(pod("alice/off")));
    assert_eq!(refused(&store, &pause("alice/up", 0)).await, RequestRefusal::Past);
    let resume = by_alice(RequestSpec::Resume { pod: pod("alice/up") });
    assert_eq!(refused(&store, &resume).await, RequestRefusal::NotPaused(pod("alice/up")));
    assert_eq!(dump(&options).await, before);

    let id = ask(&store, &pause("alice/up", 1)).await;
    let again = refused(&store, &Request { actor: "bob@host".into(), ..pause("alice/up", 2) }).await;
    assert!(matches!(&again, RequestRefusal::Paused { pause, .. } if pause.request == id), "{again}");
    assert!(again.to_string().contains("alice@host until "), "{again}");
    assert!(matches!(refused(&store, &restart("alice/up")).await, RequestRefusal::Paused { .. }));
    ask(&store, &resume).await;
    ask(&store, &pause("alice/up", 3)).await;
}

#[tokio::test]
async fn asking_wakes_whoever_listens() {
    let (store, _) = fresh().await;
    let mut listener = store.listen().await;
    ask(&store, &by_alice(RequestSpec::Sync)).await;
    tokio::time::timeout(Span::from_secs(10), listener.recv()).await.unwrap();
}

#[tokio::test]
async fn a_request_ends_once_and_says_so_in_the_history() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let id = ask(&store, &restart("alice/assistant")).await;
    store.take_requests(&[id], at(1)).await.unwrap();
    let ended = [store.open_requests().await.unwrap()[0].done("the container was restarted")];
    store.end_requests(&ended, &BTreeMap::new(), at(2)).await.unwrap();
    let before = dump(&options).await;
    store.end_requests(&ended, &BTreeMap::new(), at(3)).await.unwrap();
    assert_eq!(dump(&options).await, before);
    let row = store.request(id).await.unwrap().unwrap();
    assert_eq!((row.picked_up_at, row.ended_at, row.done), (Some(at(1)), Some(at(2)), Some(true)));
    assert_eq!(row.outcome.as_deref(), Some("the container was restarted"));
    assert!(store.open_requests().await.unwrap().is_empty());
    let EventLine { kind, message, cause, .. } = rows::events(&store, Some(&pod("alice/assistant")), 1).await.remove(0);
    assert_eq!((kind.as_str(), message.as_str()), ("request", "restart alice/assistant: the container was restarted"));
    assert_eq!(cause.as_deref(), Some("requested by alice@host"));
}

#[tokio::test]
async fn an_approval_ends_together_with_what_it_allows_and_coming_back_forgets_that() {
    let (store, _) = fresh().await;
    let id = pod("alice/assistant");
    store.sync(&alice().build(), at(0)).await.unwrap();
    let allowance = Allowance { at: at(2), revision: Some("r2".into()) };
    let allowed = BTreeMap::from([(id.clone(), allowance.clone())]);
    let of = async || store.pod_states().await.unwrap()[&id].removal_allowed.clone();

    // Nothing is allowed for a pod that is declared.
    store.set_removal_allowed(&id, Some(&allowance)).await.unwrap();
    assert_eq!(of().await, None);

    store.sync(&Declared::tenants().build(), at(1)).await.unwrap();
    ask(&store, &by_alice(RequestSpec::Approve { plan: "0123456789ab".into() })).await;
    let ended = [store.open_requests().await.unwrap()[0].done("removing alice/assistant")];
    store.end_requests(&ended, &allowed, at(2)).await.unwrap();
    assert_eq!(of().await, Some(allowance.clone()));
    let pod_states = store.pod_states().await.unwrap();
    assert_eq!(pod_states[&id].subdomain.as_ref().unwrap().as_str(), "alice");

    store.sync(&alice().build(), at(3)).await.unwrap();
    assert_eq!(of().await, None);
    store.sync(&Declared::tenants().build(), at(4)).await.unwrap();
    assert_eq!(of().await, None);
}

#[tokio::test]
async fn requests_go_with_their_pod_when_it_is_purged_and_with_time_when_they_are_over() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    ask(&store, &pause("alice/assistant", 2)).await;
    ask(&store, &by_alice(RequestSpec::Sync)).await;
    let ended = [store.open_requests().await.unwrap()[1].done("it was read")];
    store.end_requests(&ended, &BTreeMap::new(), at(1)).await.unwrap();
    let rows = async || dump(&options).await.iter().filter(|row| row.starts_with("requests ")).count();
    assert_eq!(rows().await, 2);
    store.prune(at(2)).await.unwrap();
    assert_eq!(rows().await, 1, "one is open still");
    store.sync(&Declared::tenants().build(), at(3)).await.unwrap();
    let lock = store.lock_declarations().await.unwrap();
    assert!(lock.purge(&pod("alice/assistant"), "gone", at(4)).await.unwrap());
    assert_eq!(rows().await, 0);
}
