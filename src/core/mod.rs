//! The pure core: what is declared, what should be, what was seen, what to do about it.
//!
//! Nothing in here may reach outside: no tokio, sqlx, bollard, notify, warp or tracing, no clock, no environment,
//! no files. Time, secrets' fingerprints and the engine's answers come in as arguments. `tests/pure/purity.rs` reads the
//! imports of this folder and fails when that stops being true.
//!
//! | folder | question it answers |
//! | --- | --- |
//! | `declare/` | what should exist? |
//! | `observe/` | what exists? |
//! | `decide/` | what is to be done? |
//! | `report/` | what are people told? |
//! | `access`, `webhook` | who may ask, and is this delivery genuine? |
//!
//! The files beside them are the vocabulary of all: names, labels, digests, quantities, secrets' names, problems.

pub mod access;
pub mod decide;
pub mod declare;
pub mod digest;
pub mod event;
pub mod labels;
pub mod names;
pub mod observe;
pub mod problem;
pub mod quantity;
pub mod report;
pub mod secret;
pub mod site;
pub mod webhook;
