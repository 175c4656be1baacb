//! What needs the container engine: the Docker client, the daemon when what it stands on goes away, its webhook, and the
//! whole of it with real agents behind a real proxy.

#![allow(clippy::disallowed_methods, reason = "tests and benches read the clock")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod docker;
mod end_to_end;
mod open_webui;
mod openclaw;
mod outage;
mod webhook;
