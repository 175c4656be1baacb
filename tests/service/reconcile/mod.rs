//! Whole rounds: the real reconciler on a real database, with the engine in memory.

mod causes;
mod conditions;
mod faults;
mod images;
mod last_words;
mod logs;
mod mishaps;
mod plan_log;
mod reach;
mod removals;
mod requests;
mod revisions;
mod secrets;
mod source_health;
mod source_interval;
mod spans;
pub mod stage;
mod usage;
