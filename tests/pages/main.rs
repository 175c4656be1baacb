//! Pages: every template writes down its sample, strictly, and nothing that is shown can become markup.

mod samples;
