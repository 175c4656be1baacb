//! Commands that read the database: what every pod is doing, how far that can be believed, and what happened.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output,
    connect::Database,
    output::{self, clock},
};
use crate::{
    config::Settings,
    core::{condition::HARDENED, names::PodId},
    store::{DesiredStatus, EventRow, Freshness, Leader, PodRow, RevisionRow, SourceState, Store, StoreError},
};

/// `agentpod status`: exit code 1 when a pod that should be ready is not.
pub async fn status(settings: Settings, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let report = Report::read(&database.store).await;
    database.close().await?;
    let report = report?;
    match how {
        Output::Json => output::json(&report.json())?,
        Output::Text => {
            let now = OffsetDateTime::now_utc();
            output::print(&format!("daemon: {}\nsource: {}\n", report.daemon(now), report.source(now)))?;
            print_status(&report.rows)?;
        }
    }
    let missing = report.rows.iter().any(|row| row.desired_status == DesiredStatus::Running && !row.ready);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the database says, and how far it can be believed.
struct Report {
    rows: Vec<PodRow>,
    leader: Option<Leader>,
    freshness: Freshness,
    in_force: Option<RevisionRow>,
    /// The newest revision, if it was refused.
    refused: Option<RevisionRow>,
    /// How the source became stale, if it is.
    stale: Option<SourceState>,
    /// Why what the source holds now cannot be taken, if it cannot.
    untaken: Option<EventRow>,
}

impl Report {
    async fn read(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            rows: store.statuses().await?,
            leader: store.leader().await?,
            freshness: store.freshness().await?,
            in_force: store.in_force().await?,
            stale: store.source_state().await?.filter(|state| state.stale_since.is_some()),
            untaken: store.source_refused().await?,
            refused: store.newest().await?.filter(|newest| newest.accepted_at.is_none()),
        })
    }

    /// Who keeps the rows up to date; if nobody does, how old they are.
    fn daemon(&self, now: OffsetDateTime) -> String {
        let ago = |at| format!("{} ({} ago)", clock(at), output::age(at, now));
        match (self.leader, self.freshness) {
            (Some(Leader { since: Some(since) }), _) => format!("running since {}", ago(since)),
            (Some(Leader { since: None }), _) => "running".into(),
            (None, Freshness { written_at: None, .. }) => "none is running, and none ever was on this database".into(),
            (None, Freshness { written_at: Some(at), ended_well: true }) => {
                format!("none is running; this is as of {}", ago(at))
            }
            (None, Freshness { written_at: Some(at), ended_well: false }) => {
                format!("none is running, and the last one ended without a word; the last change was seen {}", ago(at))
            }
        }
    }

    fn source(&self, now: OffsetDateTime) -> String {
        let short = |revision: &RevisionRow| revision.hash.get(..12).unwrap_or(&revision.hash).to_owned();
        let mut text = match &self.in_force {
            None => "no revision is in force".to_owned(),
            Some(revision) => {
                let since = revision.accepted_at.unwrap_or(revision.fetched_at);
                let applied = if revision.applied_at.is_some() { "applied" } else { "not applied yet" };
                format!(
                    "{}, revision {}{} in force for {}, {applied}",
                    revision.origin,
                    short(revision),
                    revision.commit.as_ref().map(|commit| format!(" (commit {})", commit.short())).unwrap_or_default(),
                    output::age(since, now)
                )
            }
        };
        if let Some(refused) = &self.refused {
            let problems = output::count(refused.problems.len(), "problem");
            text += &format!(
                "; the newest, {}, is refused with {problems}: see agentpod revisions {}",
                short(refused),
                refused.id
            );
        }
        if let Some(SourceState { origin, read_at, why, .. }) = &self.stale {
            let since = match read_at {
                Some(at) => format!("since {} ({} ago)", clock(*at), output::age(*at, now)),
                None => "yet".into(),
            };
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            text += &format!("\n        stale: {origin} was not read {since}{why}");
        } else if let Some(EventRow { event, last_at, .. }) = &self.untaken {
            let since = format!("{} ({} ago)", clock(*last_at), output::age(*last_at, now));
            text += &format!("\n        not taken since {since}: {}", event.message);
        }
        text
    }

    fn json(&self) -> Value {
        let at = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        let revision = |revision: &RevisionRow| {
            json!({"id": revision.id, "origin": revision.origin, "revision": revision.hash, "commit": revision.commit,
                "fetched_at": at(revision.fetched_at), "accepted_at": revision.accepted_at.map(at),
                "applied_at": revision.applied_at.map(at), "problems": revision.problems})
        };
        let stale = |state: &SourceState| {
            json!({"origin": state.origin, "read_at": state.read_at.map(at), "stale_since": state.stale_since.map(at),
                "why": state.why})
        };
        let as_of = if self.leader.is_some() { Some(OffsetDateTime::now_utc()) } else { self.freshness.written_at };
        json!({"as_of": as_of.map(at), "daemon": self.leader.map(|leader| json!({"since": leader.since.map(at)})),
            "source": self.in_force.as_ref().map(revision), "refused": self.refused.as_ref().map(revision),
            "untaken": self.untaken.as_ref().map(|row| json!({"since": at(row.last_at), "why": row.event.message})),
            "stale": self.stale.as_ref().map(stale), "pods": self.rows})
    }
}

/// Prints the table of pods.
pub fn print_status(rows: &[PodRow]) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let line = |row: &PodRow| {
        let since = output::age(row.since, now);
        let deviation = row.conditions.iter().find(|one| one.kind == HARDENED && one.is_true == Some(false));
        let message = match deviation {
            _ if !row.ready => row.message.clone(),
            Some(deviation) => format!("deviates: {}", deviation.message),
            None => String::new(),
        };
        vec![
            row.id.to_string(),
            row.adapter.clone(),
            format!("{:?}", row.phase),
            if row.ready { "yes".into() } else { "no".into() },
            since,
            row.url.clone(),
            message,
        ]
    };
    let rows = rows.iter().filter(|row| !row.is_gone()).map(line).collect();
    output::table(&["POD", "ADAPTER", "PHASE", "READY", "SINCE", "URL", ""], rows, "nothing is declared yet")
}

/// `agentpod events`.
pub async fn events(settings: Settings, pod: Option<PodId>, limit: u32, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let rows = database.store.events(pod.as_ref(), limit, None).await;
    database.close().await?;
    let rows = rows?;
    match how {
        Output::Json => output::json(&rows.iter().map(event_json).collect::<Vec<_>>())?,
        Output::Text if rows.is_empty() => output::print("nothing happened yet")?,
        Output::Text => {
            for row in &rows {
                output::print(&event_text(row))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A line, why under it, and the container's last words under that.
fn event_text(row: &EventRow) -> String {
    let EventRow { event, count, last_at, .. } = row;
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    let at = clock(*last_at);
    let pod = event.pod.as_ref().map_or_else(|| "-".into(), |pod| pod.to_string());
    let mut text = format!("{at}  {pod:<24} {:<12} {}{times}", event.kind, event.message);
    if let Some(cause) = &event.cause {
        text += &format!("\n    why: {cause}");
    }
    let detail = |key: &str| event.details.as_ref().and_then(|details| details.get(key));
    for line in detail("log").and_then(Value::as_array).into_iter().flatten() {
        text += &format!("\n    | {}", line.as_str().unwrap_or_default());
    }
    if let Some(why) = detail("logLeftOut").and_then(Value::as_str) {
        text += &format!("\n    | (log lines left out: {why})");
    }
    text
}

fn event_json(row: &EventRow) -> Value {
    let EventRow { id, event, count, created_at, last_at } = row;
    let time = |at: &OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    json!({"id": id, "pod": event.pod.as_ref().map(ToString::to_string), "kind": event.kind, "message": event.message,
        "cause": event.cause, "revision": event.revision, "container": event.container, "details": event.details,
        "count": count, "first": time(created_at), "last": time(last_at)})
}
