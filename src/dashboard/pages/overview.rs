//! `/dashboard`: the overview of the fleet.

use serde::Serialize;

use super::{
    PageContent,
    events::EventEntry,
    pods::{Column, PodRow, attention_columns},
    source::{HeldPlan, SourceCard},
    words::{Badge, Moment, Tone, UsageBar, mebibytes, percent, sample_time},
};
use crate::core::report::phase::Phase;

/// The overview.
#[derive(Debug, Clone, Serialize)]
pub struct OverviewPage {
    /// The state of the fleet, as one sentence.
    pub(crate) sentence: String,
    /// What somebody should see first.
    pub(crate) alarms: Vec<Alarm>,
    /// Removals that wait for approval.
    pub(crate) held: Option<HeldPlan>,
    pub(crate) total: i64,
    pub(crate) phases: Vec<PhaseShare>,
    /// Pods that need attention.
    pub(crate) attention: Vec<PodRow>,
    /// The columns of their table.
    pub(crate) attention_columns: Vec<Column>,
    /// How many pods need attention.
    pub(crate) attention_count: i64,
    /// The newest events.
    pub(crate) events: Vec<EventEntry>,
    /// The source, for people who may see it.
    pub(crate) source: Option<SourceCard>,
    /// The last rounds that did something.
    pub(crate) rounds: Vec<RoundEntry>,
    /// The machine, as text.
    pub(crate) host: String,
    /// The machine's resources.
    pub(crate) capacity: Vec<UsageBar>,
}

/// What somebody should see first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alarm {
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) text: String,
    /// The URL of more.
    pub(crate) href: String,
    /// The text of that link.
    pub(crate) link: String,
}

/// How many pods are in a phase, and its part of the bar.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseShare {
    pub(crate) look: Badge,
    pub(crate) count: i64,
    /// Where its part of the bar begins, in percent.
    pub(crate) x: f64,
    /// How wide its part is, in percent.
    pub(crate) width: f64,
}

/// A round that did something.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoundEntry {
    pub(crate) at: Moment,
    /// What triggered it.
    pub(crate) cause: String,
    /// What it did.
    pub(crate) did: String,
    /// How long it took.
    pub(crate) took: String,
}

/// The parts of the bar, in this order.
pub(crate) fn shares(counts: &[(Phase, i64)]) -> Vec<PhaseShare> {
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    let part = |count: i64| if total == 0 { 0.0 } else { (count as f64 * 10_000.0 / total as f64).round() / 100.0 };
    let mut x = 0.0;
    counts
        .iter()
        .map(|(phase, count)| {
            let share = PhaseShare { look: Badge::of_phase(*phase), count: *count, x, width: part(*count) };
            x += share.width;
            share
        })
        .collect()
}

impl PageContent for OverviewPage {
    const TEMPLATE: &'static str = "overview.html";
    const TAB: &'static str = "";

    fn title(&self) -> String {
        "Overview".into()
    }

    fn sample() -> Self {
        let counts = [
            (Phase::Running, 41),
            (Phase::Starting, 1),
            (Phase::Stopped, 3),
            (Phase::Held, 1),
            (Phase::RolledBack, 1),
            (Phase::CrashLoopBackOff, 1),
        ];
        let attention = |id: &str, message: &str, seconds| {
            let row = PodRow::samples().into_iter().find(|row| row.id == id);
            row.map(|row| PodRow { message: message.into(), since: sample_time(seconds), ..row })
        };
        let round = |seconds, cause: &str, did: &str, took: &str| RoundEntry {
            at: sample_time(seconds),
            cause: cause.into(),
            did: did.into(),
            took: took.into(),
        };
        Self {
            sentence: "48 pods, 41 of them ready".into(),
            alarms: vec![Alarm {
                tone: Tone::Warn,
                title: "The newest revision was refused".into(),
                text: "It has 2 problems; revision 12 stays in force.".into(),
                href: "/dashboard/source".into(),
                link: "Show the problems".into(),
            }],
            held: Some(HeldPlan::sample()),
            total: 48,
            phases: shares(&counts),
            attention: [
                attention(
                    "dora/research",
                    "attempt 3 failed (exit code 137, out of memory); next attempt at 12:36:10 UTC",
                    1260,
                ),
                attention(
                    "erin/helper",
                    "rolled back because 91d7e2f4 failed (not ready within 3 min); change the manifest to try again",
                    3900,
                ),
                attention("bob/chat", "it has secrets that cannot be read: OPENAI_API_KEY: no such file", 420),
            ]
            .into_iter()
            .flatten()
            .collect(),
            attention_columns: attention_columns(),
            attention_count: 3,
            events: EventEntry::samples(),
            source: Some(SourceCard::sample()),
            rounds: vec![
                round(31, "a probe", "1 pod", "4 ms"),
                round(52, "a saved file", "1 pod", "61 ms"),
                round(94, "an engine event", "1 pod", "5 ms"),
                round(420, "a request", "1 pod", "5 ms"),
            ],
            host: "Docker 27.3.1, 16 processors".into(),
            capacity: vec![
                UsageBar::new("Memory in use by pods", 40_550.0, Some(64_000.0), mebibytes)
                    .with_note("88 GiB reserved by pods"),
                UsageBar::new("Processors in use by pods", 412.0, Some(1600.0), percent),
                UsageBar::new("Disk", 380_000.0, Some(430_000.0), mebibytes),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_bar_follow_one_another_and_fill_it() {
        let shares = shares(&[(Phase::Running, 3), (Phase::Held, 1)]);
        assert_eq!((shares[0].x, shares[0].width, shares[1].x, shares[1].width), (0.0, 75.0, 75.0, 25.0));
    }
}
