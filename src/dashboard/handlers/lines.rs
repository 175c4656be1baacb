//! Lines of the read model as several pages show them.

use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    core::{
        declare::desired_status::DesiredStatus,
        names::PodId,
        problem::Problem,
        report::{phase::Phase, reason::Reason},
    },
    dashboard::pages::{
        events::EventEntry,
        pods::PodRow,
        problems::ProblemLine,
        words::{Badge, Moment, PodName, RevisionMark, mebibytes, percent},
    },
    store::view::{self, RevisionLine},
};

pub(crate) fn name(id: &PodId) -> PodName {
    PodName::new(id.tenant.as_str(), id.pod.as_str())
}

pub(crate) fn look(phase: Phase) -> Badge {
    Badge::of_phase(phase)
}

pub(crate) fn mark(revision: &RevisionLine) -> RevisionMark {
    let mark = RevisionMark::of(revision.id, &revision.hash);
    match &revision.commit {
        None => mark,
        Some(commit) => RevisionMark {
            short: format!("#{} {}", revision.id, commit.id.chars().take(8).collect::<String>()),
            commit: Some(commit.id.clone()),
            subject: Some(commit.summary.clone()),
            author: Some(commit.author.clone()),
            ..mark
        },
    }
}

pub(crate) fn row(line: &view::PodLine, now: OffsetDateTime) -> PodRow {
    let is_gone = line.desired == DesiredStatus::Deleted;
    PodRow {
        id: line.id.to_string(),
        key: line.id.key(),
        pod: name(&line.id),
        look: look(line.phase),
        doing: if is_gone && line.phase != Phase::Deleting { "no longer declared".into() } else { String::new() },
        ready: line.ready,
        adapter: line.adapter.clone(),
        restarts: line.restarts,
        url: Some(line.url.clone()).filter(|url| !is_gone && is_web(url)),
        host: line.url.split_once("://").map_or(line.url.as_str(), |(_, host)| host).to_owned(),
        message: match line.phase {
            Phase::Running | Phase::Stopped if line.reason != Reason::Paused => String::new(),
            _ => line.message.clone(),
        },
        since: Moment::new(line.phase_since, now),
        age: Moment::new(line.created_at, now),
        memory: line.memory_mb.map(|amount| mebibytes(f64::from(amount))).unwrap_or_default(),
        cpu: line.cpu_percent.map(|amount| percent(f64::from(amount))).unwrap_or_default(),
    }
}

pub(crate) fn event(line: &view::EventLine, now: OffsetDateTime) -> EventEntry {
    EventEntry {
        id: line.id,
        tone: line.severity.into(),
        pod: line.pod.as_ref().map(name),
        message: line.message.clone(),
        cause: line.cause.clone(),
        count: line.count,
        first: (line.count > 1).then(|| Moment::new(line.first_at, now)),
        at: Moment::new(line.last_at, now),
        details: line.details.as_ref().map(details).filter(|text| !text.is_empty()),
    }
}

/// Whether a URL may be a link: a manifest's text must never become a script.
pub(crate) fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// An event's details as lines: texts as they are, the rest with their names.
fn details(details: &Value) -> String {
    let Some(entries) = details.as_object() else { return details.to_string() };
    let one = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name}: {text}")),
        Value::Array(items) => {
            let lines: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        value => Some(format!("{name}: {value}")),
    };
    entries.iter().filter_map(one).collect::<Vec<_>>().join("\n")
}

pub(crate) fn problems(problems: &[Problem]) -> Vec<ProblemLine> {
    problems.iter().map(|problem| ProblemLine::from_text(&problem.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_events_details_are_lines() {
        let text = details(&json!({"exitCode": 137, "log": ["a", "b"], "nothing": null, "why": "killed"}));
        assert_eq!(text, "exitCode: 137\na\nb\nwhy: killed");
    }
}
