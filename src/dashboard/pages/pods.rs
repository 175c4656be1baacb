//! `/dashboard/pods`: all pods; filter, order and page are in the URL.

use serde::Serialize;

use super::{
    PageContent,
    words::{Badge, Moment, PodName, sample_time},
};
use crate::core::report::phase::Phase;

/// The list of pods.
#[derive(Debug, Clone, Serialize)]
pub struct PodsPage {
    /// The filter in use.
    pub(crate) filter: Filter,
    /// The filters.
    pub(crate) choices: Vec<FilterChoice>,
    pub(crate) columns: Vec<Column>,
    /// The pods of this page.
    pub(crate) rows: Vec<PodRow>,
    /// The filter for pods that need attention.
    pub(crate) attention: AttentionFilter,
    /// Whether a filter is in use.
    pub(crate) filtered: bool,
    /// The number of all pods.
    pub(crate) total: i64,
    /// Which of them are shown, as text.
    pub(crate) shown: String,
    /// Links to other pages.
    pub(crate) pager: Pager,
}

/// The filter in use.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Filter {
    /// The search text.
    pub(crate) q: String,
    /// The column, with a minus for descending.
    pub(crate) sort: String,
}

/// The filter for pods that need attention: one click on and off.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AttentionFilter {
    /// How many there are.
    pub(crate) pods: i64,
    /// Whether it is in use.
    pub(crate) on: bool,
    /// The URL that turns it on or off.
    pub(crate) href: String,
}

/// A filter.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FilterChoice {
    /// Its name in the URL.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The option that matches everything.
    pub(crate) any: &'static str,
    pub(crate) options: Vec<FilterOption>,
}

/// An option of a filter.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FilterOption {
    /// Its value in the URL.
    pub(crate) value: String,
    /// Its text.
    pub(crate) label: String,
    /// Whether it is chosen.
    pub(crate) chosen: bool,
}

/// A column of a table of pods.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Column {
    /// Its name in the URL, and of its cells in `macros.html`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Its style.
    pub(crate) class: &'static str,
    /// How it is sorted, if it is.
    pub(crate) sorted: Option<&'static str>,
    /// The URL to sort by it.
    pub(crate) href: Option<String>,
}

/// Links to other pages.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Pager {
    /// The first page.
    pub(crate) first: Option<String>,
    /// The next page.
    pub(crate) next: Option<String>,
}

/// A pod in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PodRow {
    /// `tenant/pod`.
    pub(crate) id: String,
    /// The same without a slash.
    pub(crate) key: String,
    pub(crate) pod: PodName,
    pub(crate) look: Badge,
    /// What is being done for it.
    pub(crate) doing: String,
    pub(crate) ready: bool,
    pub(crate) adapter: String,
    /// How often its container was restarted.
    pub(crate) restarts: u32,
    /// Its URL, if it may be a link.
    pub(crate) url: Option<String>,
    /// The host name in it.
    pub(crate) host: String,
    /// Why it has its phase, as a sentence; empty if that is no news.
    pub(crate) message: String,
    /// When its phase began.
    pub(crate) since: Moment,
    /// When it was first declared.
    pub(crate) age: Moment,
    /// Memory in use.
    pub(crate) memory: String,
    /// CPU usage.
    pub(crate) cpu: String,
}

/// Every column: title, name in the URL, style.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("Pod", "name", ""),
    ("Phase", "phase", ""),
    ("Ready", "ready", ""),
    ("Adapter", "adapter", "phone-hide"),
    ("URL", "url", "less"),
    ("Restarts", "restarts", "num phone-hide"),
    ("Declared", "age", "num phone-hide"),
    ("Memory", "memory", "num"),
    ("CPU", "cpu", "num phone-hide"),
    ("Why", "message", "soft"),
    ("Since", "since", "num"),
];
/// The columns of the list of all pods, and of a tenant's.
const LIST: [&str; 10] = ["name", "phase", "ready", "message", "url", "adapter", "restarts", "memory", "cpu", "age"];
/// The columns that cannot be sorted by.
const UNSORTED: [&str; 2] = ["message", "url"];
/// The columns of pods that need attention.
const ATTENTION: [&str; 4] = ["name", "phase", "message", "since"];

/// The columns of a table sorted by `sort`; with `address`, each links to the table sorted by it.
pub(crate) fn columns(sort: &str, address: Option<&dyn Fn(&str) -> String>) -> Vec<Column> {
    table(&LIST, sort, address)
}

/// The columns of a table of pods that need attention, in the order in which they came.
pub(crate) fn attention_columns() -> Vec<Column> {
    table(&ATTENTION, "", None)
}

fn table(names: &[&str], sort: &str, address: Option<&dyn Fn(&str) -> String>) -> Vec<Column> {
    let (by, descending) = sort.strip_prefix('-').map_or((sort, false), |by| (by, true));
    let column = |(title, name, class): &(&'static str, &'static str, &'static str)| {
        let here = by == *name;
        let next = if here && !descending { format!("-{name}") } else { (*name).to_owned() };
        let word = if descending { "descending" } else { "ascending" };
        let address = address.filter(|_| !UNSORTED.contains(name));
        Column { name, title, class, sorted: here.then_some(word), href: address.map(|address| address(&next)) }
    };
    let named = |name: &&str| COLUMNS.iter().find(|(_, column, _)| column == name);
    names.iter().filter_map(named).map(column).collect()
}

impl PodRow {
    /// Samples.
    pub(crate) fn samples() -> Vec<Self> {
        let all = [
            ("alice", "assistant", Phase::Running, "openclaw", 812, "3.1 %", 5_184_000),
            ("alice", "scratch", Phase::Stopped, "echo", 0, "", 2_592_000),
            ("bob", "chat", Phase::Held, "open-webui", 0, "", 1_728_000),
            ("carol", "assistant", Phase::Running, "openclaw", 1240, "12 %", 864_000),
            ("dora", "research", Phase::CrashLoopBackOff, "openclaw", 0, "", 345_600),
            ("erin", "helper", Phase::RolledBack, "openclaw", 698, "1.9 %", 259_200),
            ("frank", "desk", Phase::Starting, "open-webui", 310, "88 %", 40),
            ("grace", "family", Phase::Running, "open-webui", 334, "0.4 %", 7_776_000),
        ];
        let row = |(tenant, name, phase, adapter, memory, cpu, age): (&str, &str, Phase, &str, i64, &str, i64)| Self {
            id: format!("{tenant}/{name}"),
            key: format!("{tenant}_{name}"),
            pod: PodName::new(tenant, name),
            look: Badge::of_phase(phase),
            doing: String::new(),
            ready: matches!(phase, Phase::Running | Phase::RolledBack),
            adapter: adapter.into(),
            restarts: u32::from(phase == Phase::CrashLoopBackOff) * 14,
            url: Some(format!("https://{tenant}.agents.example.com")),
            host: format!("{tenant}.agents.example.com"),
            message: match phase {
                Phase::CrashLoopBackOff => {
                    "attempt 4 failed (restarted 5 times, exit code 1); next attempt at 12:36:10 UTC".into()
                }
                Phase::Held => "it has secrets that cannot be read: OPENAI_API_KEY: no such file".into(),
                Phase::RolledBack => "rolled back because 91d7e2f4 failed (not ready within 3 min)".into(),
                Phase::Starting => "it has up to 3 min to become ready: no answer yet".into(),
                _ => String::new(),
            },
            since: sample_time(age),
            age: sample_time(age),
            memory: if memory > 0 { super::words::mebibytes(memory as f64) } else { String::new() },
            cpu: cpu.into(),
        };
        all.map(row).into()
    }
}

impl PageContent for PodsPage {
    const TEMPLATE: &'static str = "pods.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        "Pods".into()
    }

    fn sample() -> Self {
        let options = |values: &[&str]| {
            values
                .iter()
                .map(|value| FilterOption { value: (*value).into(), label: (*value).into(), chosen: false })
                .collect()
        };
        Self {
            filter: Filter::default(),
            choices: vec![
                FilterChoice {
                    name: "phase",
                    title: "Phase",
                    any: "Any phase",
                    options: options(&["Running", "Starting", "Held"]),
                },
                FilterChoice {
                    name: "tenant",
                    title: "Tenant",
                    any: "Any tenant",
                    options: options(&["alice", "bob"]),
                },
                FilterChoice {
                    name: "adapter",
                    title: "Adapter",
                    any: "Any adapter",
                    options: options(&["echo", "openclaw"]),
                },
            ],
            columns: columns("name", Some(&|sort| format!("/dashboard/pods?sort={sort}"))),
            rows: PodRow::samples(),
            attention: AttentionFilter { pods: 3, on: false, href: "/dashboard/pods?phase=attention".into() },
            filtered: false,
            total: 48,
            shown: "8 of 48 pods".into(),
            pager: Pager { first: None, next: Some("/dashboard/pods?after=sample".into()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_turns_its_order_around_when_it_is_sorted_already() {
        let leads_to = |sort: &str| columns(sort, Some(&|sort| sort.to_owned()))[1].href.clone().unwrap();
        assert_eq!([leads_to("name"), leads_to("phase"), leads_to("-phase")], ["phase", "-phase", "phase"]);
        assert_eq!(columns("-phase", None)[1].sorted, Some("descending"));
    }
}
