//! `/dashboard/pods`: all pods, to be filtered, sorted and paged by the address alone.

use serde::Serialize;

use super::{
    Page,
    words::{Badge, Moment, PodName, RevisionMark, sample_time},
};
use crate::core::report::phase::Phase;

/// The list of pods.
#[derive(Debug, Clone, Serialize)]
pub struct PodsPage {
    /// What was asked for.
    pub filter: Filter,
    /// What can be chosen.
    pub choices: Vec<FilterChoice>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The pods of this page.
    pub rows: Vec<PodRow>,
    /// Whether anything was asked for.
    pub filtered: bool,
    /// All pods.
    pub total: i64,
    /// Which of them these are, in words.
    pub shown: String,
    /// Where the list goes on.
    pub pager: Pager,
}

/// What was asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Filter {
    /// The text.
    pub q: String,
    /// The column, with a minus before it for the other way round.
    pub sort: String,
}

/// A list to choose from.
#[derive(Debug, Clone, Serialize)]
pub struct FilterChoice {
    /// The name in the address.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What the first entry says, for anything.
    pub any: &'static str,
    /// The entries.
    pub options: Vec<FilterOption>,
}

/// An entry of such a list.
#[derive(Debug, Clone, Serialize)]
pub struct FilterOption {
    /// What stands in the address.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A column of a table of pods.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// How it is set.
    pub class: &'static str,
    /// How it is sorted, if it is.
    pub sorted: Option<&'static str>,
    /// Where it leads to be sorted.
    pub href: Option<String>,
}

/// Where a list goes on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pager {
    /// Back to the beginning.
    pub first: Option<String>,
    /// On.
    pub next: Option<String>,
}

/// A pod in a list.
#[derive(Debug, Clone, Serialize)]
pub struct PodRow {
    /// `tenant/pod`.
    pub id: String,
    /// The same without a slash.
    pub key: String,
    /// Its name.
    pub pod: PodName,
    /// Its phase.
    pub look: Badge,
    /// What is being done for it.
    pub doing: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Its kind of agent.
    pub adapter: String,
    /// Its image.
    pub image: String,
    /// The revision that last changed it.
    pub revision: Option<RevisionMark>,
    /// When it was first declared.
    pub age: Moment,
    /// Memory in use.
    pub memory: String,
    /// Processor time in use.
    pub cpu: String,
}

/// Every column: its title, its name in the address, how it is set.
const COLUMNS: [(&str, &str, &str); 9] = [
    ("Pod", "name", ""),
    ("Phase", "phase", ""),
    ("Ready", "ready", ""),
    ("Adapter", "adapter", "phone-hide"),
    ("Image", "image", "less"),
    ("Revision", "revision", "less"),
    ("Declared", "age", "num phone-hide"),
    ("Memory", "memory", "num"),
    ("CPU", "cpu", "num phone-hide"),
];

/// The columns of a table sorted by `sort`; with `address`, each leads to the table sorted by it.
pub fn columns(sort: &str, address: Option<&dyn Fn(&str) -> String>) -> Vec<Column> {
    let (by, descending) = sort.strip_prefix('-').map_or((sort, false), |by| (by, true));
    let column = |(title, name, class): &(&'static str, &'static str, &'static str)| {
        let here = by == *name;
        let next = if here && !descending { format!("-{name}") } else { (*name).to_owned() };
        let word = if descending { "descending" } else { "ascending" };
        Column { title, class, sorted: here.then_some(word), href: address.map(|address| address(&next)) }
    };
    COLUMNS.iter().map(column).collect()
}

impl PodRow {
    /// Some for samples.
    pub fn samples() -> Vec<Self> {
        let all = [
            (
                "alice",
                "assistant",
                Phase::Running,
                "openclaw",
                "agentpod/openclaw:2026.9.6",
                12,
                812,
                "3.1 %",
                5_184_000,
            ),
            ("alice", "scratch", Phase::Stopped, "echo", "agentpod/echo:1", 9, 0, "", 2_592_000),
            ("bob", "chat", Phase::Held, "open-webui", "agentpod/open-webui:0.12.4", 12, 0, "", 1_728_000),
            ("carol", "assistant", Phase::Running, "openclaw", "agentpod/openclaw:2026.9.6", 7, 1240, "12 %", 864_000),
            ("dora", "research", Phase::CrashLoopBackOff, "openclaw", "agentpod/openclaw:2026.9.6", 12, 0, "", 345_600),
            ("erin", "helper", Phase::RolledBack, "openclaw", "agentpod/openclaw:2026.9.5", 11, 698, "1.9 %", 259_200),
            ("frank", "desk", Phase::Starting, "open-webui", "agentpod/open-webui:0.12.4", 12, 310, "88 %", 40),
            ("grace", "family", Phase::Running, "open-webui", "agentpod/open-webui:0.12.4", 4, 334, "0.4 %", 7_776_000),
        ];
        let row = |(tenant, name, phase, adapter, image, revision, memory, cpu, age): (
            &str,
            &str,
            Phase,
            &str,
            &str,
            i64,
            i64,
            &str,
            i64,
        )| Self {
            id: format!("{tenant}/{name}"),
            key: format!("{tenant}_{name}"),
            pod: PodName::new(tenant, name),
            look: Badge::of_phase(phase),
            doing: String::new(),
            ready: matches!(phase, Phase::Running | Phase::RolledBack),
            adapter: adapter.into(),
            image: image.into(),
            revision: Some(RevisionMark::number(revision)),
            age: sample_time(age),
            memory: if memory > 0 { super::words::mebibytes(memory as f64) } else { String::new() },
            cpu: cpu.into(),
        };
        all.map(row).into()
    }
}

impl Page for PodsPage {
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
