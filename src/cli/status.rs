//! `agentpod status`: the pods' phases, the daemon that keeps them up to date, and the state of the source.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output,
    backend::{Backend, Target},
    output::{self, sanitize, timestamp},
    revisions::{short, short_commit},
};
use crate::{
    core::{declare::desired_status::DesiredStatus, report::health::FleetHealth},
    store::view::{ActingLine, Overview, PodLine, SourceLine},
};

/// Runs `agentpod status`. The exit code is 1 if a pod that should run is not ready.
pub(crate) async fn run(target: Target, format: Output) -> Result<ExitCode> {
    let backend = Backend::open(target).await?;
    let read = read(&backend).await;
    backend.close().await?;
    let (overview, pods) = read?;
    let now = crate::clock::now();
    match format {
        Output::Json | Output::Yaml => output::data(format, &data(&overview, &pods, now))?,
        Output::Text => {
            let source = match &overview.source {
                Some(line) => source(line, now),
                None => "only shown to accounts that see all tenants".into(),
            };
            output::print(&format!("daemon: {}\nsource: {source}\n", daemon(&overview, now)))?;
            print_pods(&pods)?;
        }
    }
    let is_failing = pods.iter().any(|pod| pod.desired == DesiredStatus::Running && !pod.ready);
    Ok(if is_failing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn read(backend: &Backend) -> Result<(Overview, Vec<PodLine>)> {
    Ok((backend.overview().await?, backend.pods().await?))
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
fn data(overview: &Overview, pods: &[PodLine], now: OffsetDateTime) -> Value {
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
                _ if !pod.ready => sanitize(&pod.message),
                Some(deviation) => format!("deviates: {}", sanitize(deviation)),
                None => String::new(),
            },
        ]
    };
    let rows = pods.iter().map(line).collect();
    output::table(&["POD", "ADAPTER", "PHASE", "READY", "SINCE", "URL", ""], rows, "no pods are declared yet")
}
