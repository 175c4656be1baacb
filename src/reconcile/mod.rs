//! The reconciler: looks, plans, has the steps carried out, and writes down what came of it. Decisions are made in
//! `core::plan` and nowhere in here.
//!
//! One task owns all state and makes one round at a time; steps, probes and log reading run in tasks of their own and
//! report back by message. Whatever wakes it — a saved file, an ended container, a tick, a person — leads to the same
//! round, which looks at everything again: a trigger wakes, it does not inform.

mod conditions;
mod edits;
pub mod execute;
mod fetches;
mod handed;
mod inputs;
mod journal;
mod judge;
pub mod leavings;
mod logs;
mod notes;
mod orders;
mod probe;
mod reconciler;
mod record;
mod redact;
mod requests;
mod round;
mod run;
mod shown;
mod tally;
mod told;
mod triggers;
mod usage;
mod watchdog;

pub use edits::{Edits, NotTaken};
pub use inputs::{Inputs, Reading, Refused};
pub use journal::EVENTS_KEPT;
pub use logs::{CleanLine, Logs, NoLog};
pub use probe::{ask, get};
pub use reconciler::{Overview, Parts, PodView, Reconciler, Role, SourceView};
pub use run::{Ending, Mode};
pub use tally::Tally;
pub use usage::Meter;
