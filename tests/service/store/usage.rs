//! What pods use: the latest measure, and a day at falling resolution.

use agentpod::{
    core::{
        access::{Person, Role},
        observe::usage::{Capacity, DiskSpace},
    },
    store::{Measured, Store},
};
use time::Duration;

use super::{at, dump, fresh};
use crate::testkit::declared::{Declared, alice, pod};

fn measured(id: &str, memory_mb: i32, cpu_percent: f32) -> Measured {
    Measured { pod: pod(id), memory_mb, cpu_percent, storage_mb: None }
}

fn somebody() -> Person {
    Person { name: "o".into(), role: Role::Viewer, tenant: None }
}

async fn minutes(store: &Store, from: i64, to: i64) {
    for minute in from..to {
        let memory = if minute % 2 == 0 { 100 } else { 200 };
        store.add_usage(&[measured("alice/assistant", memory, 10.0)], at(minute * 60 + 7)).await.unwrap();
    }
}

#[tokio::test]
async fn two_hours_are_kept_by_the_minute_and_a_day_by_ten() {
    let (store, options) = fresh().await;
    store.sync(&alice().build(), at(0)).await.unwrap();
    minutes(&store, 0, 200).await;
    let person = somebody();
    let points = store.view(&person).usage(&pod("alice/assistant")).await.unwrap().unwrap();
    let fine: Vec<_> = points.iter().filter(|point| point.seconds == 60).collect();
    assert!((120..=121).contains(&fine.len()), "{}", fine.len());
    assert_eq!(fine.last().unwrap().at, at(199 * 60));
    let coarse: Vec<_> = points.iter().filter(|point| point.seconds == 600).collect();
    assert!((6..=8).contains(&coarse.len()), "before the fine ones: {}", coarse.len());
    assert_eq!((coarse[0].at, coarse[0].memory_mb, coarse[0].cpu_percent), (at(0), 150, 10.0));
    let in_order = points.windows(2).all(|pair| pair[0].at + Duration::seconds(pair[0].seconds.into()) <= pair[1].at);
    assert!(in_order, "no span is told twice");

    minutes(&store, 24 * 60 + 100, 24 * 60 + 101).await;
    let rows = dump(&options).await;
    let old = rows.iter().filter(|row| row.starts_with("pod_usage ") && row.contains("\"seconds\": 600")).count();
    assert_eq!(old, 9, "from 110 minutes on, no more than a day ago, to the last, which ended while nobody measured");
}

#[tokio::test]
async fn what_runs_no_more_shows_no_usage_and_keeps_its_history() {
    let (store, _) = fresh().await;
    let declared = Declared::tenants().pod("alice/one", "subdomain: one").pod("bob/two", "subdomain: two");
    store.sync(&declared.build(), at(0)).await.unwrap();
    let both = [measured("alice/one", 10, 1.0), measured("bob/two", 20, 2.0), measured("nobody/knows", 1, 1.0)];
    store.add_usage(&both, at(60)).await.unwrap();
    let person = somebody();
    let of_bob = Person { tenant: Some("bob".parse().unwrap()), ..somebody() };
    assert_eq!(store.view(&person).usage_now().await.unwrap().len(), 2);
    let own = store.view(&of_bob).usage_now().await.unwrap();
    assert_eq!((own.len(), own[0].memory_mb), (1, 20));
    store.add_usage(&[measured("alice/one", 11, 1.0)], at(120)).await.unwrap();
    let now = store.view(&person).usage_now().await.unwrap();
    assert_eq!((now.len(), now[0].memory_mb), (1, 11));
    assert_eq!(store.view(&person).usage(&pod("bob/two")).await.unwrap().unwrap().len(), 1);
    let lines = store.view(&person).pods(&Default::default()).await.unwrap().items;
    assert_eq!(lines.iter().map(|line| line.memory_mb).collect::<Vec<_>>(), [Some(11), None]);
}

#[tokio::test]
async fn the_machine_shows_what_it_has_and_what_pods_take_of_it() {
    let (store, _) = fresh().await;
    let desired = alice().build();
    store.sync(&desired, at(0)).await.unwrap();
    store.set_desired(&desired, at(0)).await.unwrap();
    let person = somebody();
    assert!(store.view(&person).overview().await.unwrap().host.is_none(), "nothing is made up before it was looked at");
    let host = Capacity {
        node: "n".into(),
        cpus: 2,
        memory: 4 << 30,
        engine: "20.10".into(),
        disk: Some(DiskSpace { total: 9 << 30, free: 1 << 30 }),
    };
    store.set_host(&host, at(1)).await.unwrap();
    store.set_host(&Capacity { disk: None, ..host }, at(2)).await.unwrap();
    store.add_usage(&[measured("alice/assistant", 30, 5.0)], at(60)).await.unwrap();
    let shown = store.view(&person).overview().await.unwrap().host.unwrap();
    assert_eq!((shown.cpus, shown.memory_mb, shown.disk_mb), (2, 4096, None));
    assert_eq!((shown.pods_memory_mb, shown.pods_memory_limit_mb, shown.pods_cpu_percent), (30, 64, 5.0));
}
