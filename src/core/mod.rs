//! The pure core: what is declared, what should be, what was seen, what to do about it.
//!
//! Nothing in here may reach outside: no tokio, sqlx, bollard, notify, warp or tracing, no clock, no environment,
//! no files. Time, secrets' fingerprints and the engine's answers come in as arguments. `tests/purity.rs` reads the
//! imports of this folder and fails when that stops being true.

pub mod access;
pub mod actual;
pub mod adapter;
pub mod commit;
pub mod comparison;
pub mod condition;
pub mod crash;
pub mod desired;
pub mod digest;
pub mod document;
pub mod edit;
pub mod hardening;
pub mod health;
pub mod hook;
pub mod labels;
pub mod manifest;
pub mod names;
pub mod orphans;
pub mod plan;
pub mod problem;
pub mod purge;
pub mod quantity;
pub mod request;
pub mod resolve;
pub mod retry;
pub mod revision;
pub mod routing;
pub mod secret;
pub mod shape;
pub mod site;
pub mod stale;
pub mod status;
pub mod template;
pub mod usage;
pub mod view;
