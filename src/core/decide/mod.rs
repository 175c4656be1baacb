//! What to do, and why. Each decision is made here, once, from arguments alone.
//!
//! | file | what it decides |
//! | --- | --- |
//! | `plan` | the steps for every pod, or why there are none |
//! | `request` | what a person may ask for, and when it is done |
//! | `retry` | when to try again |
//! | `purge` | whether a removed pod's data may be deleted |
//! | `orphans` | which containers, volumes and networks nobody declares any more |

pub mod orphans;
pub mod plan;
pub mod purge;
pub mod request;
pub mod retry;
