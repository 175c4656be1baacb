//! What people are shown: a pod's status, the difference between two revisions, and plans and containers with every
//! secret hidden. Values only; pages and the command line decide how they look.

pub(crate) mod changes;
pub(crate) mod comparison;
pub mod diagnosis;
pub mod health;
pub mod phase;
pub mod reason;
pub mod status;
pub mod view;
