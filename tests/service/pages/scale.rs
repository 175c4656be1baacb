//! What a page costs the database does not grow with the fleet.

use crate::testkit::{dashboard::OLGA, declared::Declared, log, pages::Stage};

/// How many questions each page asks over a fleet of a size.
async fn questions(pods: usize) -> Vec<(&'static str, usize)> {
    let mut declared = Declared::tenants();
    for number in 0..pods {
        declared = declared.pod(&format!("alice/n{number}"), &format!("subdomain: n{number}"));
    }
    let stage = Stage::with(&declared).await;
    let mut asked = Vec::new();
    for page in [
        "/dashboard",
        "/dashboard/pods",
        "/dashboard/pods?sort=-memory&q=n&phase=Pending",
        "/dashboard/pods/alice/n1",
        "/dashboard/tenants",
        "/dashboard/tenants/alice",
        "/api/v1/pods?limit=1000",
    ] {
        // The first time may look up what is kept.
        stage.get(page, OLGA).await;
        log::queries();
        assert_eq!(stage.get(page, OLGA).await.status, 200, "{page}");
        asked.push((page, log::queries()));
    }
    asked
}

#[tokio::test]
async fn a_page_asks_the_database_as_often_for_a_thousand_pods_as_for_two() {
    log::listen();
    let (few, many) = (questions(2).await, questions(1000).await);
    assert_eq!(few, many);
    assert!(few.iter().all(|(_, count)| (1..=20).contains(count)), "{few:?}");
}
