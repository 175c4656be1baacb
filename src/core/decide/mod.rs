//! What to do, and why. Each decision is made here, once, from its arguments alone.
//!
//! | file | what it decides |
//! | --- | --- |
//! | `plan` | the steps for every pod, or why there are none |
//! | `request` | whether a request can be made, and when it is done |
//! | `request_kind` | the kinds of requests, as one table |
//! | `retry` | when to try again |
//! | `purge` | whether a removed pod's data may be deleted |
//! | `probes` | which containers have to be probed |
//! | `synced` | whether a revision is carried out, and whether the fleet is healthy |
//! | `ending` | whether a one-shot run is over, and how it ended |
//! | `due` | when the next round is due by the clock alone |
//! | `difference` | what the store has to write when declarations change |
//! | `engine_commands` | nothing: the commands that remedies name |
//! | `orphans` | which containers, volumes and networks belong to no declared pod |

pub(crate) mod difference;
pub(crate) mod due;
pub(crate) mod ending;
pub(crate) mod engine_commands;
pub mod orphans;
pub mod plan;
pub(crate) mod probes;
pub mod purge;
pub mod request;
pub mod request_kind;
pub mod retry;
pub(crate) mod synced;
