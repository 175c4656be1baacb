//! What was observed on the engine, and what it means.
//!
//! | file | what it tells |
//! | --- | --- |
//! | `actual` | containers, volumes and networks as the engine listed them |
//! | `image` | what an image is, and whether a container can be created from it |
//! | `in_force` | the settings in force for a container |
//! | `health` | whether a container's probe succeeds |
//! | `crash` | whether it restarts too often |
//! | `hardening` | whether the limits in force are the declared ones |
//! | `routing` | whether the proxy can reach it |
//! | `usage` | how much CPU and memory it uses |
//! | `stale` | whether the source has not been read for too long |
//! | `last_seen` | which containers may still be there though the engine does not list them |
//! | `condition` | one such statement about a pod |
//!
//! Nothing here decides what to do.

pub mod actual;
pub mod condition;
pub(crate) mod crash;
pub mod hardening;
pub mod health;
pub(crate) mod image;
pub mod in_force;
pub(crate) mod last_seen;
pub mod routing;
pub(crate) mod stale;
pub mod usage;
