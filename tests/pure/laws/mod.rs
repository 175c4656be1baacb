//! The planner's laws, over every situation of one pod and over random fleets, against the memory engine. The real
//! executor and the real bookkeeping run in here; only the engine and the clock are made up.

mod exhaustive;
mod fleet;
mod fleets;
mod harness;
mod hosts;
mod infra;
mod mishaps;
mod refusals;
mod removals;
mod requests;
mod sentences;
mod upgrades;
