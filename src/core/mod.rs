//! The pure core: the declared state, the desired state, the observed state, and what to do about it.
//!
//! Nothing here does I/O: no tokio, sqlx, bollard, notify, warp or tracing, no clock, no environment, no files. Time,
//! fingerprints of secrets and the engine's answers are arguments. `tests/pure/purity.rs` checks the imports of this
//! folder.
//!
//! | folder | question it answers |
//! | --- | --- |
//! | `declare/` | what should exist? |
//! | `observe/` | what exists? |
//! | `decide/` | what should be done? |
//! | `report/` | what should people know? |
//! | `access`, `webhook` | who may do what, and is this delivery genuine? |
//!
//! The files beside them are shared types: names, labels, digests, quantities, references to secrets, problems, and text that is
//! fit to be shown.

pub mod access;
pub mod decide;
pub mod declare;
pub mod digest;
pub mod event;
pub mod labels;
pub mod names;
pub mod observe;
pub(crate) mod printable;
pub mod problem;
pub(crate) mod quantity;
pub mod report;
pub mod secret;
pub mod site;
pub mod webhook;
