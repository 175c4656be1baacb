//! The published read model: each pod's status, conditions and last decision. Stored for pages and API, and
//! published as a [`DaemonStatus`] within the process.

use tokio::sync::watch;

use super::{conditions::Conditions, plan_log::PlanLog, statuses::Statuses};
use crate::reconcile::DaemonStatus;

/// The published read model.
pub(crate) struct Published {
    pub(crate) statuses: Statuses,
    pub(crate) conditions: Conditions,
    pub(crate) plan_log: PlanLog,
    /// Why removals are held, as last reported.
    pub(crate) held: super::alerts::Alert,
    sender: watch::Sender<DaemonStatus>,
}

impl Published {
    /// Nothing is published yet; the receiver gets every later status.
    pub(crate) fn new() -> (Self, watch::Receiver<DaemonStatus>) {
        let (sender, receiver) = watch::channel(DaemonStatus::default());
        let published = Self {
            statuses: Statuses::default(),
            conditions: Conditions::default(),
            plan_log: PlanLog::default(),
            held: super::alerts::Alert::default(),
            sender,
        };
        (published, receiver)
    }

    /// Publishes a status.
    pub(crate) fn publish(&self, status: DaemonStatus) {
        self.sender.send_replace(status);
    }
}
