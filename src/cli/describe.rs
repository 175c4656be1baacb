//! `agentpod describe`: everything about one pod: what it does and why, what was decided about it, what it should be where
//! that is not what it is, what it uses, its settings, and what happened last.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, Target},
    events,
    output::{self, clock, harmless, plain},
};
use crate::{
    core::{declare::document, names::PodId},
    store::view::{ConditionLine, EventLine, PlanLine, PodDetail, UsagePoint},
};

/// How many of the newest events are shown.
const EVENTS: usize = 20;

/// All of it.
#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    pod: PodDetail,
    usage: Vec<UsagePoint>,
    events: Vec<EventLine>,
}

/// `agentpod describe`.
pub async fn run(place: Target, id: &PodId, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let read = read(&desk, id).await;
    desk.close().await?;
    let described = read?;
    match how {
        Output::Json | Output::Yaml => output::data(how, &described)?,
        Output::Text => output::print(&text(&described, crate::clock::now()))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(desk: &Backend, id: &PodId) -> Result<Described> {
    Ok(Described {
        pod: desk.pod(id).await?,
        usage: desk.usage(id).await?,
        events: desk.events(Some(id), EVENTS).await?,
    })
}

fn text(described: &Described, now: OffsetDateTime) -> String {
    let Described { pod, usage, events } = described;
    let mut sections = vec![facts(pod, usage, now), conditions(&pod.conditions, now), plan(pod.plan.as_ref())];
    sections.push(comparison(pod));
    if !pod.config.is_empty() {
        sections.push(section("config", document::write(&Value::Object(pod.config.clone())).lines().map(plain)));
    }
    let told: Vec<String> = events.iter().map(events::text).collect();
    sections.push(match told.is_empty() {
        true => "events: nothing happened yet".into(),
        false => section("events, newest last", told.iter().flat_map(|text| text.lines()).map(str::to_owned)),
    });
    sections.join("\n\n")
}

fn facts(pod: &PodDetail, usage: &[UsagePoint], now: OffsetDateTime) -> String {
    let line = &pod.line;
    let ready = if line.ready { "ready" } else { "not ready" };
    let mut text = format!("{}: {}, {ready}, for {}", line.id, line.phase, output::age(line.phase_since, now));
    if !line.ready {
        text += &format!("\n  {}", harmless(&line.message));
    }
    let ago = |at| format!("{} ({} ago)", clock(at), output::age(at, now));
    let number = |revision: Option<i64>| revision.map_or_else(|| "an unknown one".into(), |id| id.to_string());
    let mut fact = |name: &str, value: String| text += &format!("\n{:<12}{}", format!("{name}:"), plain(&value));
    fact("url", line.url.clone());
    fact("adapter", line.adapter.clone());
    fact("image", line.image.clone().unwrap_or_else(|| "not known".into()));
    fact("desired", line.desired.as_str().into());
    fact("container", line.container.clone().unwrap_or_else(|| "none".into()));
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
        fact("went back", format!("{} was tried and failed: {}", rejected.digest, rejected.why));
    }
    if let Some(retry) = &pod.retry {
        let failed = output::count(retry.failures.unsigned_abs() as usize, "failure");
        fact("retry", format!("at {} after {failed}: {}", clock(retry.at), retry.why));
    }
    if let Some(at) = line.measured_at {
        fact("usage", format!("{}, as of {}", used(pod, usage), ago(at)));
    }
    text
}

/// `12 of 64 MiB memory (at most 20 in a day), 3 % of a processor, 5 MiB data`.
fn used(pod: &PodDetail, usage: &[UsagePoint]) -> String {
    let line = &pod.line;
    let mut parts = Vec::new();
    if let Some(memory) = line.memory_mb {
        let limit = line.memory_limit_mb.map(|limit| format!(" of {limit}")).unwrap_or_default();
        let most = usage.iter().map(|point| point.memory_mb).max().filter(|most| *most > memory);
        let most = most.map(|most| format!(" ({most} at most within a day)")).unwrap_or_default();
        parts.push(format!("{memory}{limit} MiB memory{most}"));
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
        format!("{}: {is}{since}, {}: {}", condition.kind, condition.reason, plain(&condition.message))
    };
    section("conditions", conditions.iter().map(line))
}

fn plan(plan: Option<&PlanLine>) -> String {
    match plan {
        None => "plan: no round decided anything about it yet".into(),
        Some(plan) if plan.decision == "settled" => "plan: settled, there is nothing to do".into(),
        Some(plan) => {
            let decision = if plan.decision == "hold" { "hold" } else { "act" };
            section(&format!("plan: {decision}, {}", plain(&plan.why)), plan.steps.iter().map(|step| plain(step)))
        }
    }
}

/// What it should be where that is not what it is.
fn comparison(pod: &PodDetail) -> String {
    if pod.desired_container.is_none() || pod.actual_container.is_none() {
        let which =
            if pod.desired_container.is_none() { "what it should be" } else { "what its container was made as" };
        return format!("desired against actual: {which} is not known");
    }
    let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".into(), plain);
    let differing: Vec<String> = (pod.comparison.iter())
        .filter(|line| line.differs)
        .map(|line| format!("{}: {}, and is {}", plain(&line.path), shown(&line.desired), shown(&line.actual)))
        .collect();
    match differing.is_empty() {
        true => format!("desired against actual: the same, in {}", output::count(pod.comparison.len(), "value")),
        false => section("desired against actual", differing.into_iter()),
    }
}

/// A title, and what belongs to it set in. A title that says all already has no colon more.
fn section(title: &str, lines: impl Iterator<Item = String>) -> String {
    lines.fold(if title.contains(": ") { title.into() } else { format!("{title}:") }, |text, line| {
        format!("{text}\n  {line}")
    })
}
