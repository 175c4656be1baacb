//! The command line over the API: the real program, the real server and a real Postgres, with rows put there. What a
//! command says is compared with what it says with the database itself. No engine is needed.

mod answers;
mod connections;
#[allow(dead_code)] // other test binaries use its other part
#[path = "../support/declared.rs"]
mod declared;
#[allow(dead_code)] // other test binaries use its other part
#[path = "../support/postgres.rs"]
mod postgres;
mod refusals;
mod requests;
mod stage;
mod watching;
