//! `agentpod describe`: one pod in detail: its status, conditions and plan, where desired and actual state differ, its
//! usage, its config and its latest events.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, Target},
    event_filter::EventFilter,
    events,
    output::{self, sanitize, sanitize_lines, timestamp},
};
use crate::{
    core::{declare::document, names::PodId},
    store::view::{ConditionLine, EventLine, PlanLine, PodDetail, UsagePoint},
};

/// How many of the newest events are shown.
const EVENTS: usize = 20;

/// The answer.
#[derive(Serialize)]
struct Description {
    #[serde(flatten)]
    pod: PodDetail,
    usage: Vec<UsagePoint>,
    events: Vec<EventLine>,
}

/// Runs `agentpod describe`.
pub(crate) async fn run(target: Target, id: &PodId, format: Output) -> Result<ExitCode> {
    let description = Box::pin(Backend::with(target, async |backend| read(backend, id).await)).await?;
    match format {
        Output::Json | Output::Yaml => output::data(format, &description)?,
        Output::Text => output::print(&text(&description, crate::clock::now()))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(backend: &Backend, id: &PodId) -> Result<Description> {
    Ok(Description {
        pod: backend.pod(id).await?,
        usage: backend.usage(id).await?,
        events: backend.events(&EventFilter { pod: Some(id.clone()), ..EventFilter::default() }, EVENTS).await?,
    })
}

fn text(description: &Description, now: OffsetDateTime) -> String {
    let Description { pod, usage, events } = description;
    let mut sections = vec![facts(pod, usage, now), conditions(&pod.conditions, now), plan(pod.plan.as_ref())];
    sections.push(comparison(pod));
    if !pod.config.is_empty() {
        sections.push(section("config", document::write(&Value::Object(pod.config.clone())).lines().map(sanitize)));
    }
    let events: Vec<String> = events.iter().map(events::text).collect();
    sections.push(match events.is_empty() {
        true => "events: none yet".into(),
        false => section("events, newest last", events.iter().flat_map(|text| text.lines()).map(str::to_owned)),
    });
    sections.join("\n\n")
}

fn facts(pod: &PodDetail, usage: &[UsagePoint], now: OffsetDateTime) -> String {
    let line = &pod.line;
    let ready = if line.ready { "ready" } else { "not ready" };
    let mut text = format!("{}: {}, {ready}, for {}", line.id, line.phase, output::age(line.phase_since, now));
    if !line.ready {
        text += &format!("\n  {}", sanitize_lines(&line.message));
    }
    let ago = |at| format!("{} ({} ago)", timestamp(at), output::age(at, now));
    let number = |revision: Option<i64>| revision.map_or_else(|| "an unknown revision".into(), |id| id.to_string());
    let mut fact = |name: &str, value: String| text += &format!("\n{:<12}{}", format!("{name}:"), sanitize(&value));
    fact("url", line.url.clone());
    fact("adapter", line.adapter.clone());
    fact("image", line.image.clone().unwrap_or_else(|| "unknown".into()));
    fact("desired", line.desired.as_str().into());
    let on = |node: &String| format!(" on {node}");
    let node = pod.node.as_ref().map(on).unwrap_or_default();
    fact("container", line.container.as_ref().map_or_else(|| "none".into(), |name| format!("{name}{node}")));
    fact(
        "revision",
        format!("declared by {}, container from {}", number(line.revision), number(line.applied_revision)),
    );
    fact("restarts", line.restarts.to_string());
    fact("created", ago(line.created_at));
    if let Some(at) = pod.undeclared_at {
        fact("undeclared", ago(at));
    }
    if let Some(rejected) = &pod.rejected {
        fact("rejected", format!("{} failed: {}", rejected.digest, rejected.why));
    }
    if let Some(retry) = &pod.retry {
        let failures = output::count(retry.failures.unsigned_abs() as usize, "failure");
        fact("retry", format!("at {} after {failures}: {}", timestamp(retry.at), retry.why));
    }
    if let Some(at) = line.measured_at {
        fact("usage", format!("{}, as of {}", usage_text(pod, usage), ago(at)));
    }
    text
}

/// Like `12 of 64 MiB memory (peak within a day: 20), 3 % of a processor, 5 MiB data`.
fn usage_text(pod: &PodDetail, usage: &[UsagePoint]) -> String {
    let line = &pod.line;
    let mut parts = Vec::new();
    if let Some(memory) = line.memory_mb {
        let limit = line.memory_limit_mb.map(|limit| format!(" of {limit}")).unwrap_or_default();
        let peak = usage.iter().map(|point| point.memory_mb).max().filter(|peak| *peak > memory);
        let peak = peak.map(|peak| format!(" (peak within a day: {peak})")).unwrap_or_default();
        parts.push(format!("{memory}{limit} MiB memory{peak}"));
    }
    parts.extend(line.cpu_percent.map(|percent| format!("{percent:.1} % of a processor")));
    parts.extend(line.storage_mb.map(|storage| format!("{storage} MiB data")));
    parts.join(", ")
}

fn conditions(conditions: &[ConditionLine], now: OffsetDateTime) -> String {
    let line = |condition: &ConditionLine| {
        let is = match condition.is_true {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let since = condition.since.map(|since| format!(" for {}", output::age(since, now))).unwrap_or_default();
        format!("{}: {is}{since}, {}: {}", condition.kind, condition.reason, sanitize(&condition.message))
    };
    section("conditions", conditions.iter().map(line))
}

fn plan(plan: Option<&PlanLine>) -> String {
    match plan {
        None => "plan: none yet, no round has seen this pod".into(),
        Some(plan) if plan.decision == "settled" => "plan: settled, nothing to do".into(),
        Some(plan) => {
            let decision = if plan.decision == "hold" { "hold" } else { "act" };
            section(&format!("plan: {decision}, {}", sanitize(&plan.why)), plan.steps.iter().map(|step| sanitize(step)))
        }
    }
}

/// Where desired and actual state differ.
fn comparison(pod: &PodDetail) -> String {
    if pod.desired_container.is_none() || pod.actual_container.is_none() {
        let unknown =
            if pod.desired_container.is_none() { "the desired state" } else { "how the container was created" };
        return format!("desired against actual: {unknown} is unknown");
    }
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".into(), sanitize);
    let differing: Vec<String> = (pod.comparison.iter())
        .filter(|line| line.differs)
        .map(|line| format!("{}: desired {}, actual {}", sanitize(&line.path), text(&line.desired), text(&line.actual)))
        .collect();
    match differing.is_empty() {
        true => format!("desired against actual: no difference in {}", output::count(pod.comparison.len(), "value")),
        false => section("desired against actual", differing.into_iter()),
    }
}

/// A title with its lines indented. A title that has a colon in it gets no second one.
fn section(title: &str, lines: impl Iterator<Item = String>) -> String {
    lines.fold(if title.contains(": ") { title.into() } else { format!("{title}:") }, |text, line| {
        format!("{text}\n  {line}")
    })
}
