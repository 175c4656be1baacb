//! Pages: every template writes down its sample, strictly; every page answers over a real PostgreSQL, also without a script;
//! nothing that is shown becomes markup; and what a form fills in is a manifest without problems.

mod committing;
mod editing;
mod forms;
mod requests;
mod samples;
mod scale;
mod served;
