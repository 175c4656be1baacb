//! `agentpod revisions`: what the source said over time, who said it, and what became of it. Reads the database only.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Output,
    connect::Database,
    offline::print_problems,
    output::{self, clock, plain},
};
use crate::{
    config::Settings,
    store::{RevisionRow, Store},
};

/// How far back a revision is looked for by the beginning of its hash or commit.
const SEARCHED: u32 = 1_000;

/// `agentpod revisions [REV]`.
pub async fn run(settings: Settings, wanted: Option<String>, limit: u32, how: Output) -> Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let read = read(&database.store, wanted.as_deref(), limit).await;
    database.close().await?;
    let (rows, in_force) = read?;
    match (how, wanted.is_some(), &rows[..]) {
        (Output::Json, true, [row]) => output::json(&json(row, in_force))?,
        (Output::Json, ..) => output::json(&rows.iter().map(|row| json(row, in_force)).collect::<Vec<_>>())?,
        (Output::Text, true, [row]) => show(row, in_force)?,
        (Output::Text, ..) => list(&rows, in_force)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(store: &Store, wanted: Option<&str>, limit: u32) -> Result<(Vec<RevisionRow>, Option<i64>)> {
    let in_force = store.in_force().await?.map(|row| row.id);
    let rows = match wanted {
        Some(wanted) => vec![find(store, wanted).await?],
        None => store.revisions(limit).await?,
    };
    Ok((rows, in_force))
}

/// The revision that somebody means: by its number, or by the beginning of its hash or commit, the newest one first.
pub async fn find(store: &Store, wanted: &str) -> Result<RevisionRow> {
    if let Ok(id) = wanted.parse()
        && let Some(row) = store.revision(id).await?
    {
        return Ok(row);
    }
    let means = |row: &RevisionRow| {
        row.hash.starts_with(wanted) || row.commit.as_ref().is_some_and(|commit| commit.id.starts_with(wanted))
    };
    let is_long_enough = wanted.len() >= 4;
    let rows = if is_long_enough { store.revisions(SEARCHED).await? } else { Vec::new() };
    match rows.into_iter().rev().find(means) {
        Some(row) => Ok(row),
        None => bail!(
            "there is no revision {wanted}; name one by its number, or by at least four characters of its hash or commit: see agentpod revisions"
        ),
    }
}

/// `rejected (2 problems)`, `applied, in force`.
pub fn state(row: &RevisionRow, in_force: Option<i64>) -> String {
    if row.accepted_at.is_none() {
        return format!("rejected ({})", output::count(row.problems.len(), "problem"));
    }
    let applied = if row.applied_at.is_some() { "applied" } else { "accepted" };
    if in_force == Some(row.id) { format!("{applied}, in force") } else { applied.into() }
}

/// The first digits of its hash, enough for people.
pub fn short(row: &RevisionRow) -> &str {
    row.hash.get(..12).unwrap_or(&row.hash)
}

fn list(rows: &[RevisionRow], in_force: Option<i64>) -> Result<()> {
    let line = |row: &RevisionRow| {
        let of = |what: fn(&crate::core::commit::Commit) -> &str| {
            row.commit.as_ref().map_or_else(|| "-".into(), |commit| plain(what(commit)))
        };
        vec![
            row.id.to_string(),
            short(row).to_owned(),
            of(|commit| commit.short()),
            of(|commit| commit.author.split(" <").next().unwrap_or_default()),
            clock(row.fetched_at),
            state(row, in_force),
            of(|commit| &commit.summary),
        ]
    };
    let rows = rows.iter().map(line).collect();
    output::table(
        &["ID", "REVISION", "COMMIT", "AUTHOR", "FETCHED", "STATE", "SUMMARY"],
        rows,
        "no revision was read yet",
    )
}

fn show(row: &RevisionRow, in_force: Option<i64>) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let at = |at: OffsetDateTime| format!("{} ({} ago)", clock(at), output::age(at, now));
    output::print(&format!("revision {} ({}): {}", row.id, short(row), state(row, in_force)))?;
    output::print(&format!("source:   {}", plain(&row.origin)))?;
    if let Some(commit) = &row.commit {
        output::print(&format!("commit:   {}", plain(&commit.id)))?;
        output::print(&format!("author:   {}, {}", plain(&commit.author), at(commit.committed_at)))?;
        output::print(&format!("summary:  {}", plain(&commit.summary)))?;
    }
    output::print(&format!("fetched:  {}", at(row.fetched_at)))?;
    for (name, when) in [("accepted", row.accepted_at), ("applied", row.applied_at)] {
        if let Some(when) = when {
            output::print(&format!("{:<10}{}", format!("{name}:"), at(when)))?;
        }
    }
    if !row.problems.is_empty() {
        output::print("")?;
        print_problems(&row.problems)?;
    }
    Ok(())
}

/// A revision for scripts.
pub fn json(row: &RevisionRow, in_force: Option<i64>) -> Value {
    let at = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let state = if row.accepted_at.is_some() { "accepted" } else { "rejected" };
    json!({"id": row.id, "revision": row.hash, "origin": row.origin, "commit": row.commit, "state": state,
        "in_force": in_force == Some(row.id), "fetched_at": at(row.fetched_at), "accepted_at": row.accepted_at.map(at),
        "applied_at": row.applied_at.map(at), "problems": row.problems})
}
