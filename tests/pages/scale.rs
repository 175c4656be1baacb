//! What a page costs the database does not grow with the fleet.

use std::{cell::Cell, sync::Once};

use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::{
    declared::Declared,
    stage::{OLGA, Stage},
};

thread_local! {
    /// What was asked of the database on this thread: a test, its server and its connections share one.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what is asked of the database.
struct Queries;

impl<S: tracing::Subscriber> Layer<S> for Queries {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            ASKED.set(ASKED.get() + 1);
        }
    }
}

/// Counts from now on, in all of this program: what one thread alone listens to, another one can switch off.
fn count() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let counting = tracing_subscriber::registry().with(Queries);
        tracing::subscriber::set_global_default(counting).expect("nobody else counts in this program");
    });
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
        ASKED.set(0);
        assert_eq!(stage.get(page, OLGA).await.status, 200, "{page}");
        asked.push((page, ASKED.get()));
    }
    asked
}

#[tokio::test]
async fn a_page_asks_the_database_as_often_for_a_thousand_pods_as_for_two() {
    count();
    let (few, many) = (questions(2).await, questions(1000).await);
    assert_eq!(few, many);
    assert!(few.iter().all(|(_, count)| (1..=20).contains(count)), "{few:?}");
}
