//! `/dashboard/tenants`: the tenants, and how much of their quotas is used.

use serde::Serialize;

use super::{
    PageContent,
    words::{Tone, UsageBar, mebibytes, processors, thousands},
};

/// The list of tenants.
#[derive(Debug, Clone, Serialize)]
pub struct TenantsPage {
    /// The search text.
    pub(crate) q: String,
    pub(crate) rows: Vec<TenantRow>,
    /// How many are shown, as text.
    pub(crate) shown: String,
    /// Links to other pages.
    pub(crate) pager: super::pods::Pager,
}

/// A tenant in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TenantRow {
    /// Its name in manifests.
    pub(crate) name: String,
    /// Its display name.
    pub(crate) title: String,
    pub(crate) pods: i64,
    /// How many are ready.
    pub(crate) ready: i64,
    /// The tone of that.
    pub(crate) tone: Tone,
    /// Pods, memory and CPU of its quota.
    pub(crate) quota: [UsageBar; 3],
}

/// The bars of a quota: used and limit of pods, MiB, thousandths of a processor.
pub(crate) fn quota(pods: (i64, Option<i64>), memory: (i64, Option<i64>), cpus: (i64, Option<i64>)) -> [UsageBar; 3] {
    let meter = |name, (taken, most): (i64, Option<i64>), say: fn(f64) -> String| {
        UsageBar::new(name, taken as f64, most.map(|most| most as f64), say)
    };
    let mut usage_bars = [
        meter("Pods", pods, |number| thousands(number as i64)),
        meter("Memory", memory, mebibytes),
        meter("Processors", cpus, processors),
    ];
    // A quota may be used up: a full one is worth a look, and no fault.
    for meter in usage_bars.iter_mut().filter(|meter| meter.tone == Tone::Bad) {
        meter.tone = Tone::Warn;
    }
    usage_bars
}

impl TenantRow {
    /// How many of its pods are ready, as a tone.
    pub(crate) fn tone(ready: i64, pods: i64) -> Tone {
        if pods == 0 {
            Tone::Idle
        } else if ready == pods {
            Tone::Good
        } else {
            Tone::Warn
        }
    }
}

impl PageContent for TenantsPage {
    const TEMPLATE: &'static str = "tenants.html";
    const TAB: &'static str = "tenants";

    fn title(&self) -> String {
        "Tenants".into()
    }

    fn sample() -> Self {
        let row = |name: &str, title: &str, pods, ready, memory, most: Option<i64>| TenantRow {
            name: name.into(),
            title: title.into(),
            pods,
            ready,
            tone: TenantRow::tone(ready, pods),
            quota: quota((pods, most.map(|_| 3)), (memory, most), (pods * 1500, most.map(|_| 4000))),
        };
        Self {
            q: String::new(),
            rows: vec![
                row("alice", "Alice", 2, 1, 2112, Some(4096)),
                row("bob", "Bob's workshop", 1, 0, 1024, Some(4096)),
                row("carol", "Carol", 1, 1, 2048, None),
                row("dora", "Dora Research", 3, 2, 6144, Some(6144)),
                row("erin", "erin", 1, 1, 2048, Some(4096)),
                row("zoe", "Zoë", 0, 0, 0, Some(4096)),
            ],
            shown: "6 tenants".into(),
            pager: super::pods::Pager::default(),
        }
    }
}
