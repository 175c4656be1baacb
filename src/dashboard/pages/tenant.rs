//! `/dashboard/tenants/T`: one tenant, its pods and its quota.

use serde::Serialize;

use super::{
    PageContent,
    events::EventEntry,
    plot::Usage,
    pods::{Column, PodRow, columns},
    tenants::quota,
    words::UsageBar,
};

/// The page of a tenant.
#[derive(Debug, Clone, Serialize)]
pub struct TenantPage {
    /// Its name in manifests.
    pub(crate) name: String,
    /// Its display name.
    pub(crate) title: String,
    /// Its e-mail address.
    pub(crate) email: Option<String>,
    /// Pods, memory and CPU of its quota.
    pub(crate) quota: [UsageBar; 3],
    /// What its pods used together.
    pub(crate) usage: Usage,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<PodRow>,
    pub(crate) events: Vec<EventEntry>,
}

impl PageContent for TenantPage {
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
            usage: Usage::new(24, &|hours| format!("/dashboard/tenants/alice?hours={hours}"), Vec::new()),
            columns: columns("name", None),
            rows: PodRow::samples().into_iter().take(2).collect(),
            events: EventEntry::samples().into_iter().take(2).collect(),
        }
    }
}
