//! `/dashboard`: the fleet at a glance.

use serde::Serialize;

use super::{
    Page,
    events::EventLine,
    source::SourceCard,
    words::{Badge, Moment, PodName, Tone, UsageBar, mebibytes, percent, sample_time},
};
use crate::core::report::phase::Phase;

/// The overview.
#[derive(Debug, Clone, Serialize)]
pub struct OverviewPage {
    /// How it is, as one sentence.
    pub sentence: String,
    /// What somebody should see before anything else.
    pub alarms: Vec<Alarm>,
    /// All pods.
    pub total: i64,
    /// By phase.
    pub phases: Vec<PhaseShare>,
    /// Held or failing ones.
    pub attention: Vec<Attention>,
    /// How many there are in all.
    pub attention_count: i64,
    /// What happened last.
    pub events: Vec<EventLine>,
    /// Where manifests come from, for who may see it.
    pub source: Option<SourceCard>,
    /// The last rounds that did something.
    pub rounds: Vec<RoundLine>,
    /// The machine, in words.
    pub host: String,
    /// What it has and what is used of it.
    pub capacity: Vec<UsageBar>,
}

/// What somebody should see first.
#[derive(Debug, Clone, Serialize)]
pub struct Alarm {
    /// How bad it is.
    pub tone: Tone,
    /// What it is.
    pub title: String,
    /// More of it.
    pub text: String,
    /// Where to go.
    pub href: String,
    /// What that is called.
    pub link: String,
}

/// How many pods are in a phase, and their part of the bar.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseShare {
    /// The phase.
    pub look: Badge,
    /// How many.
    pub count: i64,
    /// Where its part of the bar begins, of 100.
    pub x: f64,
    /// How wide it is.
    pub width: f64,
}

/// A pod that is held or failing.
#[derive(Debug, Clone, Serialize)]
pub struct Attention {
    /// Which.
    pub pod: PodName,
    /// Its phase.
    pub look: Badge,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Moment,
}

/// A round that did something.
#[derive(Debug, Clone, Serialize)]
pub struct RoundLine {
    /// When it began.
    pub at: Moment,
    /// What it was made for.
    pub cause: String,
    /// What it did.
    pub did: String,
    /// How long it took.
    pub took: String,
}

/// The parts of the bar, in this order.
pub fn shares(counts: &[(Phase, i64)]) -> Vec<PhaseShare> {
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

impl Page for OverviewPage {
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
        let attention = |tenant, name, phase, why: &str, seconds| Attention {
            pod: PodName::new(tenant, name),
            look: Badge::of_phase(phase),
            why: why.into(),
            since: sample_time(seconds),
        };
        let round = |seconds, cause: &str, did: &str, took: &str| RoundLine {
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
                link: "Look at the problems".into(),
            }],
            total: 48,
            phases: shares(&counts),
            attention: vec![
                attention(
                    "dora",
                    "research",
                    Phase::CrashLoopBackOff,
                    "attempt 3 failed (exit code 137, out of memory), next at 12:36:10 UTC",
                    1260,
                ),
                attention(
                    "erin",
                    "helper",
                    Phase::RolledBack,
                    "91d7e2f4 failed (not ready within 3 min); change the manifest to try again",
                    3900,
                ),
                attention("bob", "chat", Phase::Held, "paused by alma until 14:00:00 UTC", 420),
            ],
            attention_count: 3,
            events: EventLine::samples(),
            source: Some(SourceCard::sample()),
            rounds: vec![
                round(31, "a probe's verdict", "1 pod", "4 ms"),
                round(52, "a saved file", "1 pod", "61 ms"),
                round(94, "a container ended", "1 pod", "5 ms"),
                round(420, "a request", "1 pod", "5 ms"),
            ],
            host: "Docker 27.3.1, 16 processors".into(),
            capacity: vec![
                UsageBar::new("Memory in use by pods", 40_550.0, Some(64_000.0), mebibytes)
                    .with_note("88 GiB promised"),
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
