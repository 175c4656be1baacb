//! The reconciler: looks, plans, has the steps carried out, and writes down what came of it. Decisions are made in
//! `core::plan` and nowhere in here.

pub mod execute;
