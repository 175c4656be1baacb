//! What a page costs the database does not grow with the fleet.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::{
    declared::Declared,
    stage::{OLGA, Stage},
};

/// Counts what is asked of the database on this thread.
#[derive(Clone, Default)]
struct Queries(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Queries {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

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
        let queries = Queries::default();
        let counting = tracing::subscriber::set_default(tracing_subscriber::registry().with(queries.clone()));
        assert_eq!(stage.get(page, OLGA).await.status, 200, "{page}");
        drop(counting);
        asked.push((page, queries.0.load(Ordering::Relaxed)));
    }
    asked
}

#[tokio::test]
async fn a_page_asks_the_database_as_often_for_a_thousand_pods_as_for_two() {
    let (few, many) = (questions(2).await, questions(1000).await);
    assert_eq!(few, many);
    assert!(few.iter().all(|(_, count)| (1..=20).contains(count)), "{few:?}");
}
