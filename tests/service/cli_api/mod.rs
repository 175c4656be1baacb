//! The command line over the API: the real program, the real server and a real Postgres, with rows put there. What a
//! command says is compared with what it says with the database itself. No engine is needed.

mod answers;
mod connections;
mod refusals;
mod requests;
mod stage;
mod watching;
