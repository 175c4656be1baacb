//! AgentPod hosts one isolated AI agent per tenant and keeps Docker as declared in files.
//!
//! Every round follows the same line: a [`source`] yields files, [`core`] turns them into the desired state and plans the
//! steps from the observed state, [`reconcile`] takes them through an [`engine`] and records them in the [`store`], and the
//! [`dashboard`] reads the store. Decisions are pure functions in `core`; everything else is an edge.
#![forbid(unsafe_code)]

pub mod cli;
mod clock;
pub mod config;
pub mod core;
pub mod dashboard;
mod descriptors;
pub mod engine;
pub mod passwords;
pub mod postgres;
pub mod private_file;
pub mod reconcile;
pub mod secrets;
pub mod shutdown;
pub mod source;
pub mod store;
pub mod telemetry;
