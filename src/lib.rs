//! AgentPod hosts one isolated AI agent per tenant and keeps Docker in line with what is declared in files.
//!
//! The line every round follows: a [`source`] yields files, [`core`] turns them into what should be and decides what to
//! do about what was seen, [`reconcile`] carries it out through an [`engine`] and records it in the [`store`], and the
//! [`dashboard`] reads the store. Decisions are pure and live in `core`; everything else is an edge.
#![forbid(unsafe_code)]

pub mod cli;
mod clock;
pub mod config;
pub mod core;
pub mod dashboard;
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
