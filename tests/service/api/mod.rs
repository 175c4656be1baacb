//! The API and what it pushes: the real server and a real Postgres, with rows put there. No engine is needed.

mod live;
mod questions;
mod requests;
mod stage;
