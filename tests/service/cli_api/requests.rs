//! Commands that make a request: each is a row with the name of the token's account.

use std::collections::BTreeMap;

use agentpod::core::decide::{
    request::{EndedRequest, RequestSpec},
    request_kind::RequestKind,
};
use time::OffsetDateTime;

use super::stage::Stage;
use crate::testkit::{
    dashboard::{ALAN, OLGA, VICTOR},
    declared::pod,
};

#[tokio::test]
async fn a_request_over_the_server_is_a_row_with_the_accounts_name() {
    let stage = Stage::new().await;
    let said = stage.remote(OLGA, &["restart", "alice/assistant"]).await.well();
    assert!(said.out.starts_with("stored: ") && said.out.contains("no daemon is running"), "{}", said.out);
    stage.remote(ALAN, &["pause", "alice/assistant", "--for", "90s"]).await.well();
    stage.remote(OLGA, &["sync"]).await.well();
    let open = stage.store.open_requests().await.unwrap();
    let asked: Vec<_> = open.iter().map(|open| (open.request.what.kind(), open.request.actor.as_str())).collect();
    assert_eq!(asked, [(RequestKind::Restart, "olga"), (RequestKind::Pause, "alan"), (RequestKind::Sync, "olga")]);
    let RequestSpec::Pause { pod: of, until: Some(until) } = &open[1].request.what else { panic!("{open:?}") };
    assert_eq!(*of, pod("alice/assistant"));
    let seconds = (*until - open[1].requested_at).whole_seconds();
    assert!((89..=91).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn with_a_daemon_a_request_is_waited_for_on_demand() {
    let stage = Stage::new().await;
    let lead = stage.store.try_lead().await.unwrap().unwrap();
    let said = stage.remote(OLGA, &["restart", "alice/assistant"]).await.well();
    assert!(said.out.contains("the daemon carries it out for olga"), "{}", said.out);
    let (store, mut listener) = (stage.store.clone(), stage.store.listen().await);
    let reconciling = tokio::spawn(async move {
        listener.recv().await;
        let open = store.open_requests().await.unwrap();
        let sync = open.iter().find(|open| open.request.what == RequestSpec::Sync).unwrap();
        let (id, request, outcome) = (sync.id, sync.request.clone(), "nothing has changed".into());
        let ended = EndedRequest { id, request, done: true, outcome };
        store.end_requests(&[ended], &BTreeMap::new(), OffsetDateTime::now_utc()).await.unwrap();
    });
    let said = stage.remote(OLGA, &["sync"]).await.well();
    assert!(said.out.ends_with(": nothing has changed\n"), "{}", said.out);
    reconciling.await.unwrap();
    drop(lead);
}

#[tokio::test]
async fn a_refused_request_leaves_no_row_and_says_why() {
    let stage = Stage::new().await;
    for (token, command, expected) in [
        (VICTOR, &["restart", "alice/assistant"][..], "victor"),
        (ALAN, &["restart", "bob/helper"], "there is no pod bob/helper"),
        (ALAN, &["sync"], "use the token of an account that may do this"),
        (OLGA, &["resume", "alice/assistant"], "is not paused"),
        (OLGA, &["restart", "alice/idle"], "is stopped by its manifest"),
        (OLGA, &["approve", "xyz"], "is not the hash of a plan"),
        (OLGA, &["sync", "--as", "root"], "omit --as"),
    ] {
        let said = stage.remote(token, command).await;
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?}");
        assert!(said.err.contains(expected), "{command:?}: {}", said.err);
    }
    assert!(stage.store.open_requests().await.unwrap().is_empty());
}
