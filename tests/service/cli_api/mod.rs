//! The command line over the API: the real program, the real server and a real PostgreSQL with prepared rows. The output is
//! compared with that of the database itself. No engine is needed.

mod answers;
mod connections;
mod refusals;
mod requests;
mod stage;
mod watching;
