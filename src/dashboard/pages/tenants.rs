//! `/dashboard/tenants`: who agents are hosted for, and how much of their quota is taken.

use serde::Serialize;

use super::{
    Page,
    words::{Tone, UsageBar, mebibytes, processors, thousands},
};

/// The list of tenants.
#[derive(Debug, Clone, Serialize)]
pub struct TenantsPage {
    /// What was searched for.
    pub q: String,
    /// The tenants.
    pub rows: Vec<TenantRow>,
    /// How many these are, in words.
    pub shown: String,
    /// Where the list goes on.
    pub pager: super::pods::Pager,
}

/// A tenant in a list.
#[derive(Debug, Clone, Serialize)]
pub struct TenantRow {
    /// Its name in manifests.
    pub name: String,
    /// The name people see.
    pub title: String,
    /// Its pods.
    pub pods: i64,
    /// Those that are ready.
    pub ready: i64,
    /// How that is.
    pub tone: Tone,
    /// Pods, memory, processors.
    pub quota: [UsageBar; 3],
}

/// The meters of a quota: taken and most of pods, MiB, thousandths of a processor.
pub fn quota(pods: (i64, Option<i64>), memory: (i64, Option<i64>), cpus: (i64, Option<i64>)) -> [UsageBar; 3] {
    let meter = |name, (taken, most): (i64, Option<i64>), say: fn(f64) -> String| {
        UsageBar::new(name, taken as f64, most.map(|most| most as f64), say)
    };
    let mut meters = [
        meter("Pods", pods, |number| thousands(number as i64)),
        meter("Memory", memory, mebibytes),
        meter("Processors", cpus, processors),
    ];
    // A quota is there to be used up: full is worth a look, and no fault.
    for meter in meters.iter_mut().filter(|meter| meter.tone == Tone::Bad) {
        meter.tone = Tone::Warn;
    }
    meters
}

impl TenantRow {
    /// How many of its pods are ready, as a tone.
    pub fn tone(ready: i64, pods: i64) -> Tone {
        if pods == 0 {
            Tone::Idle
        } else if ready == pods {
            Tone::Good
        } else {
            Tone::Warn
        }
    }
}

impl Page for TenantsPage {
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
