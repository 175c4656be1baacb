//! Executing a plan: a job for each pod (`dispatch`), its steps one by one (`execute`), which secrets each container
//! holds (`secrets_in_use`) so that they can be removed from text (`redact`), and purging orphans on request
//! (`orphans`). `turns` and `pulls` limit how much is done at a time; `fenced`
//! lets only the leader change something. Nothing here chooses a step.

pub(super) mod dispatch;
pub mod execute;
pub(crate) mod fenced;
pub mod orphans;
pub(super) mod pulls;
pub(super) mod redact;
pub(super) mod secrets_in_use;
pub(super) mod tidy;
pub(crate) mod turns;
pub(super) mod work;
