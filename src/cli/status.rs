//! `agentpod status`: what every pod is doing, who keeps that up to date, and what became of the source.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output,
    backend::{Backend, Target},
    output::{self, clock, plain},
    revisions::{short, short_commit},
};
use crate::{
    core::declare::desired_status::DesiredStatus,
    store::view::{ActingLine, Overview, PodLine, SourceLine},
};

/// `agentpod status`: exit code 1 when a pod that should be ready is not.
pub async fn run(place: Target, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let read = read(&desk).await;
    desk.close().await?;
    let (glance, pods) = read?;
    let now = crate::clock::now();
    match how {
        Output::Json | Output::Yaml => output::data(how, &data(&glance, &pods, now))?,
        Output::Text => {
            let source = match &glance.source {
                Some(line) => source(line, now),
                None => "shown to those who see every tenant".into(),
            };
            output::print(&format!("daemon: {}\nsource: {source}\n", daemon(&glance, now)))?;
            print_pods(&pods)?;
        }
    }
    let missing = pods.iter().any(|pod| pod.desired == DesiredStatus::Running && !pod.ready);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn read(desk: &Backend) -> Result<(Overview, Vec<PodLine>)> {
    Ok((desk.glance().await?, desk.pods().await?))
}

/// Who keeps what is shown up to date; if nobody does, how old it is.
fn daemon(glance: &Overview, now: OffsetDateTime) -> String {
    let ago = |at| format!("{} ({} ago)", clock(at), output::age(at, now));
    match (glance.acting, glance.written_at) {
        (Some(ActingLine { since: Some(since) }), _) => format!("running since {}", ago(since)),
        (Some(ActingLine { since: None }), _) => "running".into(),
        (None, None) => "none is running, and none ever was on this database".into(),
        (None, Some(at)) if glance.ended_well => format!("none is running; this is as of {}", ago(at)),
        (None, Some(at)) => {
            format!("none is running, and the last one ended without a word; the last change was seen {}", ago(at))
        }
    }
}

fn source(line: &SourceLine, now: OffsetDateTime) -> String {
    let mut text = match &line.accepted {
        None => "no revision is in force".to_owned(),
        Some(revision) => {
            let since = revision.accepted_at.unwrap_or(revision.fetched_at);
            let applied = if revision.applied_at.is_some() { "applied" } else { "not applied yet" };
            let commit = revision.commit.as_ref();
            let commit = commit.map(|commit| format!(" (commit {})", short_commit(commit)));
            format!(
                "{}, revision {}{} in force for {}, {applied}",
                plain(&revision.origin),
                short(revision),
                commit.unwrap_or_default(),
                output::age(since, now)
            )
        }
    };
    if let Some(refused) = line.fetched.as_ref().filter(|newest| newest.accepted_at.is_none()) {
        let problems = output::count(refused.problems.len(), "problem");
        text += &format!(
            "; the newest, {}, is refused with {problems}: see agentpod revisions {}",
            short(refused),
            refused.id
        );
    }
    if line.stale_since.is_some() {
        let since = match line.read_at {
            Some(at) => format!("since {} ({} ago)", clock(at), output::age(at, now)),
            None => "yet".into(),
        };
        let origin = line.stale_origin.as_deref().unwrap_or("the source");
        let why = line.stale_why.as_ref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
        text += &format!("\n        stale: {} was not read {since}{why}", plain(origin));
    }
    if let (Some(since), Some(why)) = (line.unusable_since, &line.unusable_why) {
        text +=
            &format!("\n        not taken since {} ({} ago): {}", clock(since), output::age(since, now), plain(why));
    }
    text
}

/// All of it for scripts.
fn data(glance: &Overview, pods: &[PodLine], now: OffsetDateTime) -> Value {
    let at = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let as_of = if glance.acting.is_some() { Some(now) } else { glance.written_at };
    let source = glance.source.as_ref();
    let refused = source.and_then(|line| line.fetched.as_ref()).filter(|newest| newest.accepted_at.is_none());
    let stale = source.filter(|line| line.stale_since.is_some()).map(|line| {
        json!({"origin": line.stale_origin, "read_at": line.read_at.map(at), "stale_since": line.stale_since.map(at),
            "why": line.stale_why})
    });
    let unusable = source.and_then(|line| Some(json!({"since": at(line.unusable_since?), "why": line.unusable_why})));
    json!({"as_of": as_of.map(at), "daemon": glance.acting, "source": source.and_then(|line| line.accepted.as_ref()),
        "refused": refused, "stale": stale, "unusable": unusable, "pods": pods})
}

/// Prints the table of pods.
pub fn print_pods(pods: &[PodLine]) -> Result<()> {
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
                _ if !pod.ready => plain(&pod.message),
                Some(deviation) => format!("deviates: {}", plain(deviation)),
                None => String::new(),
            },
        ]
    };
    let rows = pods.iter().map(line).collect();
    output::table(&["POD", "ADAPTER", "PHASE", "READY", "SINCE", "URL", ""], rows, "nothing is declared yet")
}
