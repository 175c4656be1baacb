//! Conditions: kept where they differ, shown with since when, gone with their pod.

use agentpod::{
    core::{
        access::{Person, Role},
        observe::condition::{Condition, ConditionKind},
    },
    store::view,
};

use super::{at, dump, fresh};
use crate::testkit::declared::{alice, pod};
use agentpod::core::report::reason::Reason;

#[tokio::test]
async fn conditions_are_written_where_they_differ_and_shown_with_since_when() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    let (id, stranger) = (pod("alice/assistant"), pod("nobody/knows"));
    let person = Person { name: "o".into(), role: Role::Viewer, tenant: None };
    let shown =
        async || -> Vec<view::ConditionLine> { store.view(&person).pod(&id).await.unwrap().unwrap().conditions };
    let kinds: Vec<&str> = shown().await.into_iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["Ready", "ConfigApplied", "Hardened", "Routed"]);
    assert_eq!(shown().await[2].is_true, None, "what was not looked at is not known");

    let fine = Condition::new(ConditionKind::Hardened, true, Reason::AsDeclared, "fine");
    let routed = Condition::unknown(ConditionKind::Routed, "who knows");
    store.set_conditions(&[(&id, &fine), (&id, &routed), (&stranger, &fine)], at(1)).await.unwrap();
    assert_eq!(
        store.conditions().await.unwrap().into_iter().collect::<Vec<_>>(),
        [(id.clone(), vec![fine.clone(), routed.clone()])]
    );
    let before = dump(&options).await;
    store.set_conditions(&[(&id, &fine), (&id, &routed)], at(2)).await.unwrap();
    assert_eq!(dump(&options).await, before, "the same once more writes nothing");

    let worse = |message: &str| Condition::new(ConditionKind::Hardened, false, Reason::Deviates, message);
    store.set_conditions(&[(&id, &worse("it is privileged"))], at(3)).await.unwrap();
    store.set_conditions(&[(&id, &worse("it runs as root"))], at(4)).await.unwrap();
    let hardened = shown().await.remove(2);
    assert_eq!((hardened.is_true, hardened.reason.as_str()), (Some(false), "Deviates"));
    assert_eq!((hardened.message.as_str(), hardened.since), ("it runs as root", Some(at(3))));
    assert_eq!(shown().await[3].since, Some(at(1)));
    assert_eq!(store.conditions().await.unwrap()[&id], [worse("it runs as root"), routed]);

    store.delete_conditions(std::slice::from_ref(&id)).await.unwrap();
    assert!(store.conditions().await.unwrap().is_empty());
}
