//! Commands that read the database: what every pod is doing, and what happened.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Output, connect::Database, output};
use crate::{
    config::Settings,
    core::names::PodId,
    store::{DesiredStatus, EventRow, PodRow},
};

/// `agentpod status`: exit code 1 when a pod that should be ready is not.
pub async fn status(settings: Settings, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let rows = database.store.statuses().await;
    database.close().await?;
    let rows = rows?;
    match how {
        Output::Json => output::json(&rows)?,
        Output::Text => print_status(&rows)?,
    }
    let missing = rows.iter().any(|row| row.desired_status == DesiredStatus::Running && !row.ready);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints the table of pods.
pub fn print_status(rows: &[PodRow]) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let line = |row: &PodRow| {
        let since = output::age(row.since, now);
        let message = if row.ready { String::new() } else { row.message.clone() };
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
    let at = last_at.replace_nanosecond(0).unwrap_or(*last_at).format(&Rfc3339).unwrap_or_default();
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
