//! The reconciler: observes, plans, executes the steps, and reports. Decisions are made in `core::decide` and nowhere
//! in here.
//!
//! | where | what it does |
//! | --- | --- |
//! | `reconciler` | its state and its parts |
//! | `source_tracker` | the source: the revision in force, the refused one |
//! | `ledger` | the state of each pod |
//! | `run` | the loop: waits until something wakes it, then makes a round |
//! | `round` | one round, from reading the source to publishing the status |
//! | `inputs` | reads manifests and adapters, and builds the desired state |
//! | `judge` | judges what was read on a thread of its own, within bounds |
//! | `requests`, `edits` | requests: restarts, pauses, approvals; adding a manifest to the source |
//! | `observe/` | what triggers rounds, and what is measured |
//! | `act/` | executing a plan |
//! | `report/` | what is stored and published |
//!
//! One task owns all state and makes one round at a time; steps, probes and log reading run in tasks of their own and
//! report back by message. A saved file, an exited container, a tick or a request all lead to the same round, which
//! observes everything again: a trigger wakes it, but carries no information.

pub mod act;
mod daemon_status;
mod edits;
mod inputs;
mod judge;
mod ledger;
mod message;
mod observe;
mod reconciler;
mod report;
mod requests;
mod round;
mod run;
mod source_tracker;

pub use crate::core::decide::ending::Ending;
pub use daemon_status::{DaemonRole, DaemonStatus, PodView, SourceView};
pub use edits::{EditError, Edits};
pub(crate) use edits::{manifest, preview};
pub(crate) use inputs::{Inputs, PreviewError, RefusedRevision};
pub(crate) use judge::LIMIT as JUDGING_LIMIT;
pub use message::LogUnavailable;
pub use observe::probe::{ProbeError, get, probe_once};
pub use observe::usage::UsageMeter;
pub use reconciler::{Parts, Reconciler};
pub(crate) use report::journal::EVENTS_KEPT;
pub use report::logs::{CleanLine, LogReader};
pub use run::Mode;
