//! `/dashboard/tenants/T`: one tenant, its pods and its quota.

use serde::Serialize;

use super::{
    Page,
    events::EventLine,
    pods::{Column, PodRow, columns},
    tenants::quota,
    words::UsageBar,
};

/// A tenant.
#[derive(Debug, Clone, Serialize)]
pub struct TenantPage {
    /// Its name in manifests.
    pub name: String,
    /// The name people see.
    pub title: String,
    /// Where to reach them.
    pub email: Option<String>,
    /// Pods, memory, processors.
    pub quota: [UsageBar; 3],
    /// The columns of its pods.
    pub columns: Vec<Column>,
    /// Its pods.
    pub rows: Vec<PodRow>,
    /// What happened to them.
    pub events: Vec<EventLine>,
}

impl Page for TenantPage {
    const TEMPLATE: &'static str = "tenant.html";
    const TAB: &'static str = "tenants";

    fn title(&self) -> String {
        self.name.clone()
    }

    fn sample() -> Self {
        Self {
            name: "alice".into(),
            title: "Alice".into(),
            email: Some("alice@example.com".into()),
            quota: quota((2, Some(3)), (2112, Some(4096)), (2500, Some(4000))),
            columns: columns("name", None),
            rows: PodRow::samples().into_iter().take(2).collect(),
            events: EventLine::samples().into_iter().take(2).collect(),
        }
    }
}
