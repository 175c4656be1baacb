//! Executing a plan: a job for each pod (`dispatch`), its steps one by one (`execute`), which secrets each container
//! holds (`secrets_in_use`) so that they can be removed from text (`redact`), and purging orphans on request
//! (`orphans`). Nothing here chooses a step.

pub(super) mod dispatch;
pub mod execute;
pub mod orphans;
pub(super) mod redact;
pub(super) mod secrets_in_use;
pub(super) mod work;
