//! What people are told: a pod's status, the difference between two revisions, and plans and containers with every
//! secret hidden. Values only; how they look on a page or in a terminal is decided there.

pub mod changes;
pub mod comparison;
pub mod phase;
pub mod reason;
pub mod status;
pub mod view;
