//! The reconciler: observes, plans, carries out the steps, and reports. Decisions are made in `core::decide` and nowhere
//! in here.
//!
//! | where | what it does |
//! | --- | --- |
//! | `reconciler` | its parts, put together |
//! | `source_tracker` | the source: the revision in force, the one that was refused |
//! | `ledger` | what each pod is at |
//! | `run` | the loop: waits until something wakes it, then makes a round |
//! | `round` | one round, from reading the source to publishing the status |
//! | `inputs` | reads manifests and adapters, and builds the desired state |
//! | `requests`, `edits` | what people ask for: restarts, pauses, approvals; adding a file to the source |
//! | `observe/` | what wakes it, and what it measures |
//! | `act/` | carrying out a plan |
//! | `report/` | what is written down and shown |
//!
//! One task owns all state and makes one round at a time; steps, probes and log reading run in tasks of their own and
//! report back by message. A saved file, an ended container, a tick or a person all lead to the same round, which
//! observes everything again: a trigger wakes it, but carries no information.

pub mod act;
mod daemon_status;
mod edits;
mod inputs;
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
pub use edits::{Edits, NotTaken};
pub use inputs::{Inputs, RefusedRevision, SourceReading};
pub use message::NoLog;
pub use observe::probe::{ask, get};
pub use observe::usage::UsageMeter;
pub use reconciler::{Parts, Reconciler};
pub use report::journal::EVENTS_KEPT;
pub use report::logs::{CleanLine, LogReader};
pub use report::metrics::Metrics;
pub use run::Mode;
