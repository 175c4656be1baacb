//! The API and what it pushes: the real server and a real Postgres, with rows put there. No engine is needed.

#[allow(dead_code)] // other test binaries use its other part
#[path = "../support/declared.rs"]
mod declared;
mod live;
#[allow(dead_code)] // other test binaries use its other part
#[path = "../support/postgres.rs"]
mod postgres;
mod questions;
mod requests;
mod stage;
