//! Reads everything that pages and the API can read, as somebody who may see it all.

use agentpod::{
    core::{
        access::{Person, Role},
        names::PodId,
    },
    store::{
        Store,
        view::{EventLine, EventQuery, PodDetail, PodQuery},
    },
};

/// Somebody who may see everything.
pub fn anybody() -> Person {
    Person { name: "somebody".into(), role: Role::Viewer, tenant: None }
}

/// The newest `limit` events, of all pods or of one, oldest first.
pub async fn events(store: &Store, pod: Option<&PodId>, limit: usize) -> Vec<EventLine> {
    let person = anybody();
    let mut query = EventQuery { pod: pod.cloned(), limit: 1000, ..EventQuery::default() };
    let mut all = Vec::new();
    loop {
        let page = store.view(&person).events(&query).await.unwrap();
        all.extend(page.items);
        query.after = page.next;
        if all.len() >= limit || query.after.is_none() {
            all.truncate(limit);
            all.reverse();
            return all;
        }
    }
}

/// Every pod that is declared or has a container, in order.
pub async fn pods(store: &Store) -> Vec<PodDetail> {
    let person = anybody();
    let view = store.view(&person);
    let lines = view.pods(&PodQuery { limit: 1000, ..PodQuery::default() }).await.unwrap().items;
    let mut all = Vec::new();
    for line in lines {
        all.extend(view.pod(&line.id).await.unwrap());
    }
    all
}
