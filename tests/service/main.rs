//! What needs PostgreSQL or programs of the machine (git, OpenSSH), and no engine: the store, the sources, whole rounds with
//! the engine in memory, the command line, and the dashboard with its API.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod api;
mod broken_inputs;
mod cli;
mod cli_api;
mod content;
mod dashboard_auth;
mod embedded_postgres;
mod git_source;
mod pages;
mod probe;
mod reconcile;
mod revisions;
mod source;
mod starting;
mod store;
