//! `agentpod revisions`: what the source said over time, who said it, and what became of it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, Target},
    offline::print_problems,
    output::{self, clock, plain},
};
use crate::store::view::{CommitLine, RevisionLine};

/// How far back a revision is looked for by the beginning of its hash or commit.
pub const SEARCHED: usize = 1_000;

/// A revision for scripts.
#[derive(Serialize)]
pub struct RevisionEntry<'a> {
    #[serde(flatten)]
    line: &'a RevisionLine,
    /// Whether it is the one that counts.
    in_force: bool,
}

impl<'a> RevisionEntry<'a> {
    /// A revision, beside the one in force.
    pub fn of(line: &'a RevisionLine, in_force: Option<i64>) -> Self {
        Self { line, in_force: in_force == Some(line.id) }
    }
}

/// `agentpod revisions [REV]`.
pub async fn run(place: Target, wanted: Option<String>, limit: u32, how: Output) -> Result<ExitCode> {
    let desk = Backend::open(place).await?;
    let read = read(&desk, wanted.as_deref(), limit as usize).await;
    desk.close().await?;
    let (lines, in_force) = read?;
    let shown: Vec<_> = lines.iter().map(|line| RevisionEntry::of(line, in_force)).collect();
    match (how, wanted.is_some(), &lines[..]) {
        (Output::Text, true, [line]) => show(line, in_force)?,
        (Output::Text, ..) => list(&lines, in_force)?,
        (_, true, [_]) => output::data(how, &shown[0])?,
        _ => output::data(how, &shown)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(desk: &Backend, wanted: Option<&str>, limit: usize) -> Result<(Vec<RevisionLine>, Option<i64>)> {
    let in_force = desk.source().await?.accepted.map(|line| line.id);
    let lines = match wanted {
        Some(wanted) => vec![find(desk, wanted).await?],
        None => desk.revisions(limit).await?,
    };
    Ok((lines, in_force))
}

/// The revision that somebody means: by its number, or by the beginning of its hash or commit, the newest one first.
async fn find(desk: &Backend, wanted: &str) -> Result<RevisionLine> {
    if let Ok(id) = wanted.parse()
        && let Some(line) = desk.revision(id).await?
    {
        return Ok(line);
    }
    let lines = desk.revisions(SEARCHED).await?;
    lines.into_iter().rev().find(|line| is_meant(line, wanted)).with_context(|| unknown(wanted))
}

/// Whether a revision is meant by what may be the beginning of its hash or commit.
pub fn is_meant(line: &RevisionLine, wanted: &str) -> bool {
    let begins = line.hash.starts_with(wanted)
        || line.commit.as_ref().is_some_and(|commit: &CommitLine| commit.id.starts_with(wanted));
    wanted.len() >= 4 && begins
}

/// That there is no such revision.
pub fn unknown(wanted: &str) -> String {
    format!(
        "there is no revision {wanted}; name one by its number, or by at least four characters of its hash or commit: see agentpod revisions"
    )
}

/// `rejected (2 problems)`, `applied, in force`.
pub fn state(line: &RevisionLine, in_force: Option<i64>) -> String {
    if line.accepted_at.is_none() {
        return format!("rejected ({})", output::count(line.problems.len(), "problem"));
    }
    let applied = if line.applied_at.is_some() { "applied" } else { "accepted" };
    if in_force == Some(line.id) { format!("{applied}, in force") } else { applied.into() }
}

/// The first digits of its hash, enough for people.
pub fn short(line: &RevisionLine) -> &str {
    line.hash.get(..12).unwrap_or(&line.hash)
}

/// The first digits of a commit's id.
pub fn short_commit(commit: &CommitLine) -> &str {
    commit.id.get(..10).unwrap_or(&commit.id)
}

fn list(lines: &[RevisionLine], in_force: Option<i64>) -> Result<()> {
    let line = |line: &RevisionLine| {
        let of = |what: fn(&CommitLine) -> &str| {
            line.commit.as_ref().map_or_else(|| "-".into(), |commit| plain(what(commit)))
        };
        vec![
            line.id.to_string(),
            short(line).to_owned(),
            of(short_commit),
            of(|commit| commit.author.split(" <").next().unwrap_or_default()),
            clock(line.fetched_at),
            state(line, in_force),
            of(|commit| &commit.summary),
        ]
    };
    let rows = lines.iter().map(line).collect();
    output::table(
        &["ID", "REVISION", "COMMIT", "AUTHOR", "FETCHED", "STATE", "SUMMARY"],
        rows,
        "no revision was read yet",
    )
}

fn show(line: &RevisionLine, in_force: Option<i64>) -> Result<()> {
    let now = crate::clock::now();
    let at = |at: OffsetDateTime| format!("{} ({} ago)", clock(at), output::age(at, now));
    output::print(&format!("revision {} ({}): {}", line.id, short(line), state(line, in_force)))?;
    output::print(&format!("source:   {}", plain(&line.origin)))?;
    if let Some(commit) = &line.commit {
        output::print(&format!("commit:   {}", plain(&commit.id)))?;
        output::print(&format!("author:   {}, {}", plain(&commit.author), at(commit.committed_at)))?;
        output::print(&format!("summary:  {}", plain(&commit.summary)))?;
    }
    output::print(&format!("fetched:  {}", at(line.fetched_at)))?;
    for (name, when) in [("accepted", line.accepted_at), ("applied", line.applied_at)] {
        if let Some(when) = when {
            output::print(&format!("{:<10}{}", format!("{name}:"), at(when)))?;
        }
    }
    if !line.problems.is_empty() {
        output::print("")?;
        print_problems(&line.problems)?;
    }
    Ok(())
}
