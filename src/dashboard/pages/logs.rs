//! `/dashboard/pods/T/P/logs`: the newest lines; the rest comes while somebody looks.

use serde::Serialize;

use super::{Page, words::PodName};

/// A pod's log.
#[derive(Debug, Clone, Serialize)]
pub struct LogsPage {
    /// Whose.
    pub pod: PodName,
    /// The container it is from.
    pub container: Option<String>,
    /// The newest lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Where further lines come from.
    pub stream: String,
    /// Where all of them can be had.
    pub download: String,
    /// What that file is called.
    pub file: String,
    /// What is to be said in place of lines, or after them.
    pub told: Option<String>,
}

/// A line.
#[derive(Debug, Clone, Serialize)]
pub struct LogLine {
    /// When it was written, for programs.
    pub at: String,
    /// The time of day of that.
    pub clock: String,
    /// Whether it was written as an error.
    pub err: bool,
    /// What it says.
    pub text: String,
}

impl LogLine {
    /// A line written at a time in RFC 3339, or at none.
    pub fn new(at: &str, err: bool, text: impl Into<String>) -> Self {
        let clock = at.split_once('T').map_or("", |(_, clock)| clock);
        Self { at: at.into(), clock: clock.chars().take(12).collect(), err, text: text.into() }
    }
}

impl Page for LogsPage {
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
            LogLine::new(
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
            told: None,
        }
    }
}
