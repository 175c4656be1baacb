//! Whole rounds: the real reconciler on a real database, with the engine in memory.

mod causes;
mod conditions;
mod faults;
mod last_words;
mod logs;
mod looking;
mod reach;
mod removals;
mod requests;
mod revisions;
mod secrets;
mod shown;
mod source_health;
mod spans;
pub mod stage;
mod usage;
