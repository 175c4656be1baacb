//! `/dashboard/pods/T/P`: one pod, and why it is as it is.

use serde::Serialize;

use super::{
    PageContent,
    diff::DiffPage,
    events::EventEntry,
    plot::{Plot, Series, Usage, sample_points},
    words::{Badge, Fact, Moment, PodName, SAMPLE_NOW, Tone, mebibytes, percent, sample_time},
};
use crate::core::report::phase::Phase;

/// The page of a pod.
#[derive(Debug, Clone, Serialize)]
pub struct PodPage {
    /// Its name and URL.
    pub pod: PodName,
    /// Its phase.
    pub look: Badge,
    /// Why, as a sentence.
    pub message: String,
    /// Its URL, if it is declared.
    pub url: Option<String>,
    /// Whether it is declared.
    pub declared: bool,
    /// Whether it has a container, which can be opened.
    pub has_container: bool,
    /// Whether the visitor may make requests for it.
    pub may_ask: bool,
    /// The names of requests that may bring it out of the state it is in.
    pub ways_out: Vec<&'static str>,
    /// The pause in force.
    pub paused: Option<Paused>,
    /// Open requests.
    pub requests: Vec<PendingRequest>,
    /// What is wrong with it, if something is.
    pub diagnosis: Option<Story>,
    /// All four conditions.
    pub conditions: Vec<ConditionEntry>,
    /// The last decision, as text; empty if there is nothing to do.
    pub plan: String,
    /// What to say while there is nothing to do.
    pub idle: &'static str,
    /// Desired against actual.
    pub diff: DiffPage,
    /// CPU, memory and data over the last hours.
    pub usage: Usage,
    /// Its newest events.
    pub events: Vec<EventEntry>,
    /// Image, container, digest and the like.
    pub facts: Vec<Fact>,
    /// Its settings as YAML.
    pub config: String,
    /// Its secrets, without values.
    pub secrets: Vec<SecretPlace>,
}

/// What is wrong with a pod, from the cause to what a person can do.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The tone of its phase.
    pub(crate) tone: Tone,
    /// What is wrong, with its cause.
    pub(crate) what: String,
    /// Since when it is not ready.
    pub(crate) since: Option<Moment>,
    /// What happens next.
    pub(crate) next: String,
    /// When that happens, if it has a time.
    pub(crate) next_at: Option<Moment>,
    /// What a person can do.
    pub(crate) advice: String,
    /// The last lines of its log.
    pub(crate) log: String,
}

/// A pause in force.
#[derive(Debug, Clone, Serialize)]
pub struct Paused {
    /// Who requested it.
    pub by: String,
    /// When it was requested.
    pub at: Moment,
    /// Its end; `None`: until somebody resumes it.
    pub until: Option<Moment>,
}

/// An open request.
#[derive(Debug, Clone, Serialize)]
pub struct PendingRequest {
    pub(crate) what: String,
    pub(crate) by: String,
    pub(crate) at: Moment,
}

/// A condition and how long it has held.
#[derive(Debug, Clone, Serialize)]
pub struct ConditionEntry {
    pub(crate) name: String,
    /// The tone of its value.
    pub(crate) tone: Tone,
    /// Its value, as a word.
    pub(crate) word: &'static str,
    /// Why, as one word.
    pub(crate) reason: String,
    /// Why, as a sentence.
    pub(crate) message: String,
    /// Since when.
    pub(crate) since: Option<Moment>,
}

/// A secret.
#[derive(Debug, Clone, Serialize)]
pub struct SecretPlace {
    /// The variable's name.
    pub(crate) name: String,
    /// What is known of its value, never the value.
    pub(crate) place: String,
}

impl PageContent for PodPage {
    const TEMPLATE: &'static str = "pod.html";
    const TAB: &'static str = "pods";

    fn title(&self) -> String {
        self.pod.id.clone()
    }

    fn sample() -> Self {
        let condition = |name: &str, tone, word, reason: &str, message: &str, seconds| ConditionEntry {
            name: name.into(),
            tone,
            word,
            reason: reason.into(),
            message: message.into(),
            since: Some(sample_time(seconds)),
        };
        let summary = |image: &str, memory: &str, digest: &str| {
            format!(
                "image: {image}\nuser: 1000:1000\nmemory: {memory}\ncpus: 2\npids: 512\nnetwork: agentpod-net\nvolume: agentpod_alice_assistant\ndata: /data\n\
                 read_only_root: true\nenvironment.HOME: /data\nenvironment.OPENCLAW_CONFIG_PATH: /config/openclaw.json\nenvironment.OPENCLAW_NO_AUTO_UPDATE: 1\n\
                 files./config/openclaw.json: mode 0444, {digest}\nsecrets.ANTHROPIC_API_KEY: mark 5c0e91aa\nlabels.traefik.enable: true\n"
            )
        };
        let series = |name, height, limit, say, binary| {
            let points = sample_points(SAMPLE_NOW, height);
            Plot::of(&Series { name, points: &points, limit, say, binary }, 24, SAMPLE_NOW)
        };
        Self {
            pod: PodName::new("alice", "assistant"),
            look: Badge::of_phase(Phase::Starting),
            message: "its new container is not ready yet; the previous one is kept until it is".into(),
            url: Some("https://alice.agents.example.com".into()),
            declared: true,
            has_container: true,
            may_ask: true,
            ways_out: vec!["retry", "start-empty"],
            paused: None,
            requests: vec![PendingRequest { what: "restart alice/assistant".into(), by: "alma".into(), at: sample_time(12) }],
            diagnosis: Some(Story {
                tone: Tone::Bad,
                what: "Its agent keeps exiting: alice_assistant-91d7e2f4 exited with code 1. The last thing it said was: Error: ANTHROPIC_API_KEY is empty".into(),
                since: Some(sample_time(1260)),
                next: "Attempt 4 starts its container again.".into(),
                next_at: Some(sample_time(-74)),
                advice: "Correct its config, secrets or image in its manifest. A changed manifest is tried at once.".into(),
                log: "starting the gateway\nError: ANTHROPIC_API_KEY is empty".into(),
            }),
            conditions: vec![
                condition("Ready", Tone::Idle, "no", "WaitingForProbe", "it has up to 3 min to become ready: no answer yet", 52),
                condition("ConfigApplied", Tone::Good, "yes", "AsDeclared", "its container was created for this declaration", 52),
                condition("Hardened", Tone::Warn, "no", "Deviates", "its memory limit is 2Gi, not 1536Mi", 840),
                condition("Routed", Tone::Good, "yes", "Routed", "its labels and network lead its host name to it; no request was sent to check", 5_184_000),
            ],
            plan: "its image and resources changed (4be1c09a → 91d7e2f4)\n  pull agentpod/openclaw:2026.9.6 unless it is present\n  create alice_assistant-91d7e2f4\n  upload its files into alice_assistant-91d7e2f4\n  stop alice_assistant-4be1c09a\n  start alice_assistant-91d7e2f4\n".into(),
            idle: "No steps: its container is as declared.",
            diff: DiffPage::of(
                &summary("agentpod/openclaw:2026.9.5", "1536Mi", "4be1c09a"),
                &summary("agentpod/openclaw:2026.9.6", "2Gi", "91d7e2f4"),
            ),
            usage: Usage::new(24, &|hours| format!("/dashboard/pods/alice/assistant?hours={hours}"), [
                series("Memory", 1400.0, Some(2048.0), mebibytes as fn(f64) -> String, true),
                series("Processor", 40.0, None, percent, false),
                series("Storage", 310.0, None, mebibytes, true),
            ]
            .into_iter()
            .flatten()
            .collect()),
            events: EventEntry::samples(),
            facts: vec![
                Fact::link("Adapter", "openclaw", "/dashboard/adapters#adapter-openclaw"),
                Fact::code("Image", "agentpod/openclaw:2026.9.6"),
                Fact::code("Container", "alice_assistant-91d7e2f4"),
                Fact::code("Digest", "91d7e2f4"),
                Fact::code("Revision", "#12"),
                Fact::words("Restarts", "0"),
                Fact::at("Declared", sample_time(5_184_000)),
            ],
            config: "model: anthropic/claude-sonnet-4-6\nfallbackModels: []\nheartbeat: 30m\nchatCompletions: false\nproviders:\n  local:\n    apiKey: '[hidden]'\nlogLevel: info\n".into(),
            secrets: vec![SecretPlace { name: "ANTHROPIC_API_KEY".into(), place: "value with the mark 5c0e91aa".into() }],
        }
    }
}
