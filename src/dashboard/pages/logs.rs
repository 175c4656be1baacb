//! `/dashboard/pods/T/P/logs`: the newest lines; new ones are added by a script.

use serde::Serialize;

use super::{PageContent, words::PodName};

/// The log of a pod.
#[derive(Debug, Clone, Serialize)]
pub struct LogsPage {
    pub(crate) pod: PodName,
    pub(crate) container: Option<String>,
    /// The newest lines, oldest first.
    pub(crate) lines: Vec<LogEntry>,
    /// The URL of further lines.
    pub(crate) stream: String,
    /// The URL of the whole log as a file.
    pub(crate) download: String,
    /// The name of that file.
    pub(crate) file: String,
    /// A note in place of lines, or after them.
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogEntry {
    /// When it was written, for programs.
    pub(crate) at: String,
    /// When it was written, as a time of day.
    pub(crate) clock: String,
    /// Whether it was written to standard error.
    pub(crate) err: bool,
    pub(crate) text: String,
}

impl LogEntry {
    /// A line with its RFC 3339 time, if it has one.
    pub(crate) fn new(at: &str, err: bool, text: impl Into<String>) -> Self {
        let clock = at.split_once('T').map_or("", |(_, clock)| clock);
        Self { at: at.into(), clock: clock.chars().take(12).collect(), err, text: text.into() }
    }
}

impl PageContent for LogsPage {
    const TEMPLATE: &'static str = "logs.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        format!("Logs of {}", self.pod.id)
    }

    fn sample() -> Self {
        let texts = [
            "gateway: starting 2026.9.6",
            "config: /config/openclaw.json, sha 91d7e2f4, read-only",
            "provider anthropic: key [ANTHROPIC_API_KEY]",
            "gateway: listening on 0.0.0.0:18789",
            "telegram: polling as @alice_assistant_bot",
            "turn 4411 begins: channel=telegram user=73 model=anthropic/claude-sonnet-4-6",
            "tool weather: 200 in 412 ms",
            "turn 4411 ends: 1,204 tokens in, 311 out, 5.2 s",
            "heartbeat: nothing to do",
            "memory: 812 MiB of 2 GiB",
        ];
        let line = |number: usize| {
            let err = number % 23 == 17;
            let at = format!("2026-11-24T12:{:02}:{:02}.{:03}Z", 10 + number / 4, number * 13 % 60, number * 71 % 1000);
            LogEntry::new(
                &at,
                err,
                if err {
                    "warning: the weather service answered 503, trying again"
                } else {
                    texts[number % texts.len()]
                },
            )
        };
        Self {
            pod: PodName::new("alice", "assistant"),
            container: Some("alice_assistant-91d7e2f4".into()),
            lines: (0..60).map(line).collect(),
            stream: "/api/v1/pods/alice/assistant/logs".into(),
            download: "/api/v1/pods/alice/assistant/logs?tail=10000".into(),
            file: "alice-assistant.log".into(),
            note: None,
        }
    }
}
