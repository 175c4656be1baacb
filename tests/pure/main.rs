//! What needs nothing but files: the planner's laws, what people are told about manifests, what fuzzers found, the house
//! rules, and what is shipped.

mod corpus;
mod laws;
mod manifests;
mod purity;
mod shipped;
