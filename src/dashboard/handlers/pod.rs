//! `/dashboard/pods/T/P`.

use time::OffsetDateTime;

use super::{Handlers, PageRequest, lines, nothing};
use crate::{
    core::{
        decide::{
            request::{OpenRequest, pause_of},
            request_kind::RequestKind,
        },
        declare::document,
        names::PodId,
        report::{phase::Phase, reason::Reason, view::SummaryLine},
    },
    dashboard::{
        pages::{
            diff::DiffPage,
            plot::{Plot, RANGES, Series, Usage},
            pod::{ConditionEntry, Paused, PendingRequest, PodPage, SecretPlace, Story},
            words::{Fact, Moment, RevisionMark, Tone, mebibytes, percent},
        },
        refusal::Refusal,
    },
    store::view::{ConditionLine, Diagnosis, EventQuery, PodDetail, PodLine, UsagePoint},
};

/// How many events the page shows.
const EVENTS: u32 = 30;
/// The lines of a container summary with the settings, which have a section of their own.
const CONFIG: &str = "config.";

/// The pod in a URL.
pub(crate) fn id(tenant: &str, name: &str) -> Result<PodId, Refusal> {
    format!("{tenant}/{name}").parse().map_err(|_| nothing())
}

impl Handlers {
    pub(crate) async fn pod(&self, page_request: &PageRequest, tenant: &str, name: &str) -> Result<PodPage, Refusal> {
        let id = id(tenant, name)?;
        let (person, now) = (&page_request.visitor.person, page_request.now);
        let view = self.api.store.view(person);
        let detail = view.pod(&id).await?.ok_or_else(|| missing(&id))?;
        let usage = view.usage(&id).await?.unwrap_or_default();
        let events =
            view.events(&EventQuery { pod: Some(id.clone()), limit: EVENTS, ..EventQuery::default() }).await?.items;
        let open = self.api.store.open_requests().await?;
        let declared = detail.undeclared_at.is_none();
        Ok(PodPage {
            pod: lines::name(&id),
            look: lines::look(detail.line.phase),
            message: detail.line.message.clone(),
            url: Some(detail.line.url.clone()).filter(|url| declared && lines::is_web(url)),
            declared,
            has_container: detail.line.container.is_some(),
            may_ask: person.may_request(&id.tenant),
            ways_out: ways_out(&detail.line),
            paused: paused(&open, &id, now),
            requests: open_requests(&open, &id, now),
            diagnosis: detail.diagnosis.as_ref().map(|diagnosis| story(&detail, diagnosis, now)),
            conditions: detail.conditions.iter().map(|condition| row(condition, detail.line.ready, now)).collect(),
            plan: plan(&detail),
            idle: match detail.diagnosis.is_some() {
                true => "No steps: its container is as declared. What is wrong with it is above.",
                false => "Nothing to do: it is as declared.",
            },
            diff: diff(&detail),
            usage: {
                let (hours, path) = (hours(page_request), lines::name(&id).path);
                let href = |hours: i64| page_request.query.with(&path, "hours", Some(&hours.to_string()));
                Usage::new(hours, &href, plots(&usage, Limits::of_pod(&detail), hours, now))
            },
            events: events.iter().map(|event| lines::event(event, now)).collect(),
            facts: facts(&detail, person.sees_all(), now),
            config: if detail.config.is_empty() {
                String::new()
            } else {
                document::write(&detail.config.clone().into())
            },
            secrets: secrets(&detail),
        })
    }
}

/// A pod that the visitor may not see is reported like one that never existed.
pub(crate) fn missing(id: &PodId) -> Refusal {
    Refusal::not_found(format!("There is no pod {id}."))
}

/// The requests that may bring a pod out of the state it is in.
fn ways_out(line: &PodLine) -> Vec<&'static str> {
    let kind = match (line.phase, line.reason) {
        (_, Reason::VolumeGone) => RequestKind::StartEmpty,
        (Phase::RolledBack | Phase::CrashLoopBackOff, _) | (Phase::Held, Reason::StepFailed) => RequestKind::Retry,
        _ => return Vec::new(),
    };
    vec![kind.as_str()]
}

fn paused(open: &[OpenRequest], id: &PodId, now: OffsetDateTime) -> Option<Paused> {
    let pause = pause_of(open, id, now)?;
    let request = open.iter().find(|one| one.id == pause.request)?;
    let until = pause.until.map(|until| Moment::new(until, now));
    Some(Paused { by: pause.actor, at: Moment::new(request.requested_at, now), until })
}

/// Open requests; a pause in force has its own place.
fn open_requests(open: &[OpenRequest], id: &PodId, now: OffsetDateTime) -> Vec<PendingRequest> {
    let paused = pause_of(open, id, now).map(|pause| pause.request);
    let of_this = open.iter().filter(|one| one.request.what.pod() == Some(id) && Some(one.id) != paused);
    of_this
        .map(|one| PendingRequest {
            what: one.request.what.to_string(),
            by: one.request.actor.clone(),
            at: Moment::new(one.requested_at, now),
        })
        .collect()
}

/// What is wrong with a pod. A time that is over is not told as the next attempt.
fn story(detail: &PodDetail, diagnosis: &Diagnosis, now: OffsetDateTime) -> Story {
    let at = detail.retry.as_ref().map(|retry| retry.at).filter(|at| diagnosis.is_scheduled && *at > now);
    Story {
        tone: lines::look(detail.line.phase).tone,
        what: diagnosis.what.clone(),
        since: detail.not_ready_since.map(|since| Moment::new(since, now)),
        next: diagnosis.next.clone(),
        next_at: at.map(|at| Moment::new(at, now)),
        advice: diagnosis.advice.clone(),
        log: diagnosis.log.join("\n"),
    }
}

/// A condition; while a pod is not ready, the others are no good news.
fn row(condition: &ConditionLine, is_ready: bool, now: OffsetDateTime) -> ConditionEntry {
    let (tone, word) = match condition.is_true {
        Some(true) if !is_ready => (Tone::Idle, "yes"),
        Some(true) => (Tone::Good, "yes"),
        Some(false) => (Tone::Warn, "no"),
        None => (Tone::Idle, "unknown"),
    };
    ConditionEntry {
        name: condition.kind.to_string(),
        tone,
        word,
        reason: condition.reason.to_string(),
        message: condition.message.clone(),
        since: condition.since.map(|since| Moment::new(since, now)),
    }
}

/// As `agentpod plan` prints it.
fn plan(detail: &PodDetail) -> String {
    let Some(plan) = detail.plan.as_ref().filter(|plan| plan.decision != "settled") else { return String::new() };
    let before = if plan.decision == "hold" { "held, " } else { "" };
    let steps: String = plan.steps.iter().map(|step| format!("\n  {step}")).collect();
    format!("{before}{}{steps}", plan.why)
}

fn diff(detail: &PodDetail) -> DiffPage {
    match (&detail.desired_container, &detail.actual_container) {
        (_, None) if detail.line.container.is_none() => {
            DiffPage::unknown("It has no container, so there is nothing to compare with.")
        }
        (_, None) => DiffPage::unknown("Its container was created by an AgentPod that did not store its summary."),
        (None, _) => DiffPage::unknown("Its desired state is unknown until the next round stores it."),
        (Some(_), Some(actual)) => {
            // While files are being uploaded the settings in the container are unknown, which is not a difference.
            let is_known = |line: &&SummaryLine| !(actual.config.is_empty() && line.path.starts_with(CONFIG));
            let comparison: Vec<&SummaryLine> = detail.comparison.iter().filter(is_known).collect();
            let text = |side: fn(&SummaryLine) -> Option<&String>| -> String {
                comparison
                    .iter()
                    .filter_map(|line| Some(format!("{}: {}\n", line.path, side(line)?.replace('\n', "\\n"))))
                    .collect()
            };
            DiffPage::of(&text(|line| line.actual.as_ref()), &text(|line| line.desired.as_ref()))
        }
    }
}

/// The range of usage that a URL asks for.
pub(crate) fn hours(page_request: &PageRequest) -> i64 {
    let asked = page_request.query.get("hours").and_then(|text| text.parse().ok());
    asked.filter(|hours| RANGES.contains(hours)).unwrap_or(24)
}

/// The limits of what is plotted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// MiB.
    pub(crate) memory: Option<f64>,
    /// Percent of one processor.
    pub(crate) cpu: Option<f64>,
}

impl Limits {
    fn of_pod(detail: &PodDetail) -> Self {
        let cpus = detail.desired_container.as_ref().and_then(|container| container.cpus.parse::<f64>().ok());
        Self { memory: detail.line.memory_limit_mb.map(f64::from), cpu: cpus.map(|cpus| cpus * 100.0) }
    }
}

pub(crate) fn plots(usage: &[UsagePoint], limits: Limits, hours: i64, now: OffsetDateTime) -> Vec<Plot> {
    let points = |value: fn(&UsagePoint) -> Option<f64>| -> Vec<(OffsetDateTime, i32, f64)> {
        usage.iter().filter_map(|point| Some((point.at, point.seconds, value(point)?))).collect()
    };
    let memory = points(|point| Some(f64::from(point.memory_mb)));
    let cpu = points(|point| Some(f64::from(point.cpu_percent)));
    let storage = points(|point| point.storage_mb.map(f64::from));
    let all = [
        Series { name: "Memory", points: &memory, limit: limits.memory, say: mebibytes, binary: true },
        Series { name: "Processor", points: &cpu, limit: limits.cpu, say: percent, binary: false },
        Series { name: "Storage", points: &storage, limit: None, say: mebibytes, binary: true },
    ];
    all.iter().filter_map(|series| Plot::of(series, hours, now)).collect()
}

fn facts(detail: &PodDetail, sees_all: bool, now: OffsetDateTime) -> Vec<Fact> {
    let line = &detail.line;
    let mut facts =
        vec![Fact::link("Adapter", line.adapter.clone(), format!("/dashboard/adapters#adapter-{}", line.adapter))];
    let mut code = |name: &str, value: Option<String>| facts.extend(value.map(|value| Fact::code(name, value)));
    code("Image", line.image.clone());
    code("Container", line.container.clone());
    code("Node", detail.node.clone());
    code("Digest", detail.digest.as_ref().map(|digest| digest.chars().take(12).collect()));
    if let Some(revision) = line.revision {
        let text = format!("#{revision}");
        facts.push(match sees_all {
            true => Fact::link("Revision", text, RevisionMark::page(revision)),
            false => Fact::code("Revision", text),
        });
    }
    facts.push(Fact::words("Restarts", line.restarts.to_string()));
    facts.push(Fact::at("In this phase", Moment::new(line.phase_since, now)));
    facts.push(Fact::at("Declared", Moment::new(line.created_at, now)));
    if let Some(rejected) = &detail.rejected {
        facts.push(Fact::words("Rejected", format!("{}: {}", rejected.digest, rejected.why)));
    }
    if let Some(retry) = &detail.retry {
        let times = if retry.failures == 1 { "once".into() } else { format!("{} times in a row", retry.failures) };
        facts.push(Fact::words("Failed", format!("{times}: {}", retry.why)));
        if retry.at > now {
            facts.push(Fact::at("Next attempt", Moment::new(retry.at, now)));
        }
    }
    facts.extend(detail.undeclared_at.map(|at| Fact::at("Removed", Moment::new(at, now))));
    facts
}

fn secrets(detail: &PodDetail) -> Vec<SecretPlace> {
    let all = detail.desired_container.iter().flat_map(|summary| &summary.secrets);
    all.map(|(name, mark)| SecretPlace { name: name.clone(), place: format!("value with the mark {mark}") }).collect()
}
