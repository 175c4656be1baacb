//! What is stored and published: the journal of what must outlive the process (`journal`), events (`events`,
//! `event_text`), alerts that last (`alerts`), the plan log (`plan_log`), status and conditions of each pod
//! (`statuses`, `conditions`), metrics (`metrics`) and container logs (`logs`).

pub(super) mod alerts;
pub(super) mod conditions;
pub(super) mod event_text;
pub(super) mod events;
pub(super) mod journal;
pub(super) mod logs;
pub(super) mod metrics;
pub(super) mod plan_log;
pub(super) mod pod_event;
pub(super) mod published;
pub(super) mod statuses;
