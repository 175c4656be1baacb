//! Events as pages show them, and `/dashboard/events`: all of them, chosen by tenant, kind, severity and time.

use serde::Serialize;

use super::{
    PageContent,
    pods::{FilterChoice, FilterOption, Pager},
    words::{Moment, PodName, Tone, sample_time},
};

/// The page of events.
#[derive(Debug, Clone, Serialize)]
pub struct EventsPage {
    /// The filters.
    pub(crate) choices: Vec<FilterChoice>,
    /// Whether a filter is in use.
    pub(crate) filtered: bool,
    pub(crate) events: Vec<EventEntry>,
    /// Links to other pages.
    pub(crate) pager: Pager,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventEntry {
    pub(crate) id: i64,
    /// Its severity.
    pub(crate) tone: Tone,
    /// The pod it is about.
    pub(crate) pod: Option<PodName>,
    pub(crate) message: String,
    /// Its cause.
    pub(crate) cause: Option<String>,
    /// How often it happened.
    pub(crate) count: i32,
    /// When it first happened, if it happened more than once.
    pub(crate) first: Option<Moment>,
    /// When it last happened.
    pub(crate) at: Moment,
    /// The container's last log lines, and other details.
    pub(crate) details: Option<String>,
}

impl EventEntry {
    /// Samples.
    pub(crate) fn samples() -> Vec<Self> {
        let line = |id, tone, pod: Option<(&str, &str)>, message: &str, cause: Option<&str>, count, seconds| Self {
            id,
            tone,
            pod: pod.map(|(tenant, name)| PodName::new(tenant, name)),
            message: message.into(),
            cause: cause.map(str::to_owned),
            count,
            first: (count > 1).then(|| sample_time(seconds + 400)),
            at: sample_time(seconds),
            details: None,
        };
        let crashed = Self {
            details: Some("exit code 137, out of memory\nloading model index\nallocated 1.9 GiB\nKilled".into()),
            ..line(
                96,
                Tone::Bad,
                Some(("dora", "research")),
                "its container exited (exit code 137, out of memory)",
                None,
                5,
                94,
            )
        };
        let changed = Some("its image and resources changed (4be1c09a → 91d7e2f4)");
        vec![
            line(98, Tone::Good, Some(("alice", "assistant")), "it is ready", None, 1, 31),
            line(97, Tone::Idle, Some(("alice", "assistant")), "started alice_assistant-91d7e2f4", changed, 1, 52),
            crashed,
            line(95, Tone::Warn, Some(("bob", "chat")), "alma paused it until 14:00:00 UTC", None, 1, 420),
            line(94, Tone::Good, None, "revision 12 was accepted", None, 1, 680),
            line(
                93,
                Tone::Bad,
                Some(("erin", "helper")),
                "it was rolled back: the new container was not ready within 3 min",
                changed,
                1,
                3900,
            ),
        ]
    }
}

impl PageContent for EventsPage {
    const TEMPLATE: &'static str = "events.html";
    const TAB: &'static str = "events";

    fn title(&self) -> String {
        "Events".into()
    }

    fn sample() -> Self {
        let choice = |name, title, any, values: &[(&str, &str)]| FilterChoice {
            name,
            title,
            any,
            options: values
                .iter()
                .map(|(value, label)| FilterOption { value: (*value).into(), label: (*label).into(), chosen: false })
                .collect(),
        };
        Self {
            choices: vec![
                choice(
                    "severity",
                    "Severity",
                    "Any severity",
                    &[("warning", "Warnings and errors"), ("error", "Errors")],
                ),
                choice("kind", "Kind", "Any kind", &[("exited", "exited"), ("ready", "ready")]),
                choice("tenant", "Tenant", "Any tenant", &[("alice", "alice")]),
                choice("since", "Time", "Any time", &[("1h", "The last hour")]),
            ],
            filtered: false,
            events: EventEntry::samples(),
            pager: Pager { first: None, next: Some("/dashboard/events?after=sample".into()) },
        }
    }
}
