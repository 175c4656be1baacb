//! The core, compiled with what tells the fuzzer where a run has been, and what is done to it.

#[path = "../../src/core/mod.rs"]
pub mod core;
pub mod targets;
