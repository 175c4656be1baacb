//! Whether the source is read: one row, written when that changes.

use agentpod::store::SourceState;

use super::{at, fresh};

#[tokio::test]
async fn there_is_one_row_and_it_says_what_was_so_last() {
    let (store, _) = fresh().await;
    assert_eq!(store.source_state().await.unwrap(), None);
    let stale = SourceState {
        origin: "/m".into(),
        read_at: Some(at(1)),
        stale_since: Some(at(91)),
        why: Some("there is no folder /m".into()),
    };
    store.set_source_state(&stale, at(95)).await.unwrap();
    assert_eq!(store.source_state().await.unwrap(), Some(stale));
    let fresh = SourceState { origin: "/m".into(), read_at: Some(at(99)), stale_since: None, why: None };
    store.set_source_state(&fresh, at(100)).await.unwrap();
    assert_eq!(store.source_state().await.unwrap(), Some(fresh));
}

#[tokio::test]
async fn one_that_was_never_read_can_be_stale() {
    let (store, _) = fresh().await;
    let stale = SourceState { origin: "/m".into(), read_at: None, stale_since: Some(at(1)), why: None };
    store.set_source_state(&stale, at(2)).await.unwrap();
    assert_eq!(store.source_state().await.unwrap(), Some(stale));
}
