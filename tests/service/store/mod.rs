//! The store against a real Postgres, a fresh database per test.

mod conditions;
mod events;
mod failover;
mod key;
mod lease;
mod opening;
mod outage;
mod pods;
mod pooler;
mod purge;
mod requests;
mod revisions;
mod rotation;
mod source_state;
mod status;
mod sync;
mod synced;
mod usage;
mod view;

use crate::testkit::{
    postgres::dump,
    store::{fresh, new_key},
};
use time::{Duration, OffsetDateTime};

/// Any time, in whole seconds from a beginning.
fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
}
