//! `agentpod status`: the pods' phases, the daemon that keeps them up to date, and the state of the source.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output,
    backend::{Backend, Target},
    event_filter::EventFilter,
    output::{self, sanitize, timestamp},
    revisions::{short, short_commit},
};
use crate::{
    core::{
        declare::desired_status::DesiredStatus,
        names::{PodId, TenantName},
        report::{health::FleetHealth, phase::Phase},
    },
    store::view::{ActingLine, EventLine, Overview, PodLine, SourceLine},
};

/// For how many pods, at most, the last line of a crashed container is looked up.
const LAST_LINES: usize = 20;
/// Among how many of a pod's newest events it is looked for.
const EVENTS: usize = 20;

/// Which pods are shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PodFilter {
    /// Only pods of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantName>,
    /// Only pods in this phase, like Running or CrashLoopBackOff; repeatable, or several separated by commas
    #[arg(long, value_name = "PHASE", value_delimiter = ',', ignore_case = true, value_parser = phases())]
    phase: Vec<String>,
    /// Only pods that need attention: not ready though they should be, rolled back, or not as declared
    #[arg(long)]
    problems: bool,
}

fn phases() -> PossibleValuesParser {
    PossibleValuesParser::new(Phase::BY_URGENCY.map(Phase::as_str))
}

impl PodFilter {
    fn shows(&self, pod: &PodLine) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| pod.tenant == *tenant)
            && (self.phase.is_empty() || self.phase.iter().any(|phase| phase.eq_ignore_ascii_case(pod.phase.as_str())))
            && (!self.problems || needs_attention(pod))
    }
}

/// Whether it should run and is not ready, or something else about it is wrong.
fn needs_attention(pod: &PodLine) -> bool {
    is_failing(pod) || matches!(pod.phase, Phase::RolledBack | Phase::Held | Phase::Unknown) || pod.deviation.is_some()
}

fn is_failing(pod: &PodLine) -> bool {
    pod.desired == DesiredStatus::Running && !pod.ready
}

/// Runs `agentpod status`. The exit code is 1 if a pod that should run is not ready.
pub(crate) async fn run(target: Target, filter: PodFilter, format: Output) -> Result<ExitCode> {
    let Read { overview, all, shown, last_lines } =
        Backend::with(target, async |backend| read(backend, &filter).await).await?;
    let now = crate::clock::now();
    match format {
        Output::Json | Output::Yaml => output::data(format, &data(&overview, &shown, &last_lines, now))?,
        Output::Text => {
            let source = match &overview.source {
                Some(line) => source(line, now),
                None => "only shown to accounts that see all tenants".into(),
            };
            let summary = summary(&all, shown.len());
            output::print(&format!("daemon: {}\nsource: {source}\npods:   {summary}\n", daemon(&overview, now)))?;
            let empty = if all.is_empty() { "no pods are declared yet" } else { "no pod is like that" };
            print_table(&shown, &last_lines, empty)?;
        }
    }
    Ok(if shown.iter().any(is_failing) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the command prints.
struct Read {
    overview: Overview,
    all: Vec<PodLine>,
    shown: Vec<PodLine>,
    /// The last line of pods whose container exited by itself.
    last_lines: BTreeMap<PodId, String>,
}

async fn read(backend: &Backend, filter: &PodFilter) -> Result<Read> {
    let (overview, all) = (backend.overview().await?, backend.pods().await?);
    let shown: Vec<PodLine> = all.iter().filter(|pod| filter.shows(pod)).cloned().collect();
    let mut last_lines = BTreeMap::new();
    for pod in shown.iter().filter(|pod| has_crashed(pod)).take(LAST_LINES) {
        let own = EventFilter { pod: Some(pod.id.clone()), ..EventFilter::default() };
        if let Some(line) = backend.events(&own, EVENTS).await?.iter().rev().find_map(last_line) {
            last_lines.insert(pod.id.clone(), line);
        }
    }
    Ok(Read { overview, all, shown, last_lines })
}

fn has_crashed(pod: &PodLine) -> bool {
    needs_attention(pod)
        && matches!(pod.phase, Phase::CrashLoopBackOff | Phase::Unhealthy | Phase::RolledBack | Phase::Starting)
}

/// The last line that is not empty of a container's log, if an event is about its end.
fn last_line(event: &EventLine) -> Option<String> {
    let lines = event.details.as_ref()?.get("log")?.as_array()?;
    let line = lines.iter().rev().filter_map(Value::as_str).find(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

/// Like `4 of 7 ready; 1 CrashLoopBackOff, 1 Held, 1 Stopped`.
fn summary(all: &[PodLine], shown: usize) -> String {
    let (ready, others) = (all.iter().filter(|pod| pod.ready).count(), Phase::BY_URGENCY);
    let others = others.iter().filter_map(|phase| {
        let count = all.iter().filter(|pod| pod.phase == *phase).count();
        (count > 0 && *phase != Phase::Running).then(|| format!("{count} {phase}"))
    });
    let others: Vec<String> = others.collect();
    let mut text = format!("{ready} of {} ready", all.len());
    if !others.is_empty() {
        text += &format!("; {}", others.join(", "));
    }
    if shown < all.len() {
        text += &format!(" ({shown} shown)");
    }
    text
}

/// Whether a daemon keeps the rows up to date; if none does, how old they are.
fn daemon(overview: &Overview, now: OffsetDateTime) -> String {
    let ago = |at| format!("{} ({} ago)", timestamp(at), output::age(at, now));
    match (&overview.acting, overview.written_at) {
        (Some(ActingLine { since, process: Some(process) }), _) => {
            format!("running since {} on {process}", ago(*since))
        }
        (Some(ActingLine { since, process: None }), _) => format!("running since {}", ago(*since)),
        (None, None) => "not running, and never ran on this database".into(),
        (None, Some(at)) if overview.ended_well => format!("not running; this is as of {}", ago(at)),
        (None, Some(at)) => {
            format!("not running, and the last one ended abruptly; the last change was recorded {}", ago(at))
        }
    }
}

fn source(line: &SourceLine, now: OffsetDateTime) -> String {
    let mut text = match &line.accepted {
        None => "no revision is in force".to_owned(),
        Some(revision) => {
            let since = revision.accepted_at.unwrap_or(revision.fetched_at);
            let synced = if revision.synced_at.is_some() { "synced" } else { "not synced yet" };
            let health = match (line.health, line.needs_attention) {
                (FleetHealth::Degraded, 1) => "degraded: 1 pod needs attention".into(),
                (FleetHealth::Degraded, pods) => format!("degraded: {pods} pods need attention"),
                (health, _) => health.to_string(),
            };
            let commit = revision.commit.as_ref();
            let commit = commit.map(|commit| format!(" (commit {})", short_commit(commit)));
            format!(
                "{}, revision {}{} in force for {}, {synced}, {health}",
                sanitize(&revision.origin),
                short(revision),
                commit.unwrap_or_default(),
                output::age(since, now)
            )
        }
    };
    if let Some(rejected) = line.fetched.as_ref().filter(|newest| newest.accepted_at.is_none()) {
        let problems = output::count(rejected.problems.len(), "problem");
        text += &format!(
            "; the newest, {}, was rejected with {problems}, see agentpod revisions {}",
            short(rejected),
            rejected.id
        );
    }
    if line.stale_since.is_some() {
        let since = match line.read_at {
            Some(at) => format!("since {} ({} ago)", timestamp(at), output::age(at, now)),
            None => "yet".into(),
        };
        let origin = line.stale_origin.as_deref().unwrap_or("the source");
        let why = line.stale_why.as_ref().map(|why| format!(": {}", sanitize(why))).unwrap_or_default();
        text += &format!("\n        stale: {} has not been read {since}{why}", sanitize(origin));
    }
    if let (Some(since), Some(why)) = (line.unusable_since, &line.unusable_why) {
        text += &format!(
            "\n        not usable since {} ({} ago): {}",
            timestamp(since),
            output::age(since, now),
            sanitize(why)
        );
    }
    text
}

/// The answer in JSON and YAML.
fn data(overview: &Overview, pods: &[PodLine], last_lines: &BTreeMap<PodId, String>, now: OffsetDateTime) -> Value {
    let pods = pods.iter().map(|pod| {
        let mut value = json!(pod);
        if let (Some(line), Some(fields)) = (last_lines.get(&pod.id), value.as_object_mut()) {
            fields.insert("last_line".into(), json!(line));
        }
        value
    });
    let pods: Vec<Value> = pods.collect();
    let at = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let as_of = if overview.acting.is_some() { Some(now) } else { overview.written_at };
    let source = overview.source.as_ref();
    let refused = source.and_then(|line| line.fetched.as_ref()).filter(|newest| newest.accepted_at.is_none());
    let stale = source.filter(|line| line.stale_since.is_some()).map(|line| {
        json!({"origin": line.stale_origin, "read_at": line.read_at.map(at), "stale_since": line.stale_since.map(at),
            "why": line.stale_why})
    });
    let unusable = source.and_then(|line| Some(json!({"since": at(line.unusable_since?), "why": line.unusable_why})));
    json!({"as_of": as_of.map(at), "daemon": overview.acting, "source": source.and_then(|line| line.accepted.as_ref()),
        "refused": refused, "stale": stale, "unusable": unusable, "pods": pods})
}

/// Prints the table of pods.
pub(crate) fn print_pods(pods: &[PodLine]) -> Result<()> {
    print_table(pods, &BTreeMap::new(), "no pods are declared yet")
}

fn print_table(pods: &[PodLine], last_lines: &BTreeMap<PodId, String>, empty: &str) -> Result<()> {
    let now = crate::clock::now();
    let line = |pod: &PodLine| {
        vec![
            pod.id.to_string(),
            pod.adapter.clone(),
            pod.phase.to_string(),
            if pod.ready { "yes".into() } else { "no".into() },
            output::age(pod.phase_since, now),
            pod.url.clone(),
            match &pod.deviation {
                // One that was rolled back is ready, and not what was declared.
                _ if !pod.ready || pod.phase == Phase::RolledBack => reason(pod, last_lines.get(&pod.id)),
                Some(deviation) => format!("deviates: {}", sanitize(deviation)),
                None => String::new(),
            },
        ]
    };
    let rows = pods.iter().map(line).collect();
    output::table(&["POD", "ADAPTER", "PHASE", "READY", "SINCE", "URL", "WHY"], rows, empty)
}

/// Why a pod is as it is, with the last line of its crashed container.
fn reason(pod: &PodLine, last_line: Option<&String>) -> String {
    match last_line.filter(|line| !pod.message.contains(line.as_str())) {
        Some(line) => format!("{}; its last line: {}", sanitize(&pod.message), sanitize(&shortened(line))),
        None => sanitize(&pod.message),
    }
}

/// At most so much of a line as fits beside the rest.
fn shortened(line: &str) -> String {
    const MOST: usize = 160;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
