//! Commands that read the database: what every pod is doing, and what happened.

use std::process::ExitCode;

use anyhow::Result;
use time::OffsetDateTime;

use super::{Output, connect::Database, output};
use crate::{
    config::Settings,
    core::names::PodId,
    store::PodRow,
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
    let missing = rows.iter().any(|row| row.desired_status == "running" && !row.ready);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints the table of pods.
pub fn print_status(rows: &[PodRow]) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let line = |row: &PodRow| {
        let since = row.since.map_or_else(|| "-".into(), |since| output::age(since, now));
        let message = if row.ready { String::new() } else { row.message.clone() };
        vec![row.pod.to_string(), row.adapter.clone(), row.phase.clone(), if row.ready { "yes".into() } else { "no".into() }, since, row.url.clone(), message]
    };
    let rows = rows.iter().map(line).collect();
    output::table(&["POD", "ADAPTER", "PHASE", "READY", "SINCE", "URL", ""], rows, "nothing is declared yet")
}

/// `agentpod events`.
pub async fn events(settings: Settings, pod: Option<PodId>, limit: i64, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let rows = database.store.events(pod.as_ref(), limit, None).await;
    database.close().await?;
    let mut rows = rows?;
    rows.sort_by_key(|row| row.id);
    match how {
        Output::Json => output::json(&rows)?,
        Output::Text if rows.is_empty() => output::print("nothing happened yet")?,
        Output::Text => {
            for row in rows {
                let times = if row.count > 1 { format!(" ({} times)", row.count) } else { String::new() };
                let at = row.last_at.replace_nanosecond(0).unwrap_or(row.last_at);
                let at = at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
                let pod = row.pod.map_or_else(|| "-".into(), |pod| pod.to_string());
                output::print(&format!("{at}  {pod:<24} {:<12} {}{times}", row.kind, row.message))?;
                for line in row.details.as_ref().and_then(|details| details.get("log")).and_then(|log| log.as_array()).into_iter().flatten() {
                    output::print(&format!("    | {}", line.as_str().unwrap_or_default()))?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
