//! What needs nothing but files: the planner's laws, what people are told about manifests, what fuzzers found, the house
//! rules, and whether what is shipped and written beside the program is true.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod corpus;
mod cycles;
mod documents;
mod events;
mod laws;
mod manifests;
mod nonsense;
mod purity;
mod requests;
mod shipped;
