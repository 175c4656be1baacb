//! `agentpod revisions`: the states of the source over time, who made them, and whether they were accepted.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    Output,
    backend::{Backend, Target},
    offline::print_problems,
    output::{self, sanitize, timestamp},
};
use crate::store::view::{CommitLine, RevisionLine};

/// How many of the newest revisions are searched for a hash or commit.
pub(crate) const SEARCH_LIMIT: usize = 1_000;

/// A revision in JSON and YAML.
#[derive(Serialize)]
pub(crate) struct NamedRevision<'a> {
    #[serde(flatten)]
    line: &'a RevisionLine,
    /// Whether it is the one in force.
    in_force: bool,
}

impl<'a> NamedRevision<'a> {
    /// An entry, given the ID of the revision in force.
    pub(crate) fn of(line: &'a RevisionLine, in_force: Option<i64>) -> Self {
        Self { line, in_force: in_force == Some(line.id) }
    }
}

/// Runs `agentpod revisions [REV]`.
pub(crate) async fn run(target: Target, revision: Option<String>, limit: u32, format: Output) -> Result<ExitCode> {
    let read = async |backend: &Backend| read(backend, revision.as_deref(), limit as usize).await;
    let (lines, in_force) = Backend::with(target, read).await?;
    let entries: Vec<_> = lines.iter().map(|line| NamedRevision::of(line, in_force)).collect();
    match (format, revision.is_some(), &lines[..]) {
        (Output::Text, true, [line]) => print_one(line, in_force)?,
        (Output::Text, ..) => print_list(&lines, in_force)?,
        (_, true, [_]) => output::data(format, &entries[0])?,
        _ => output::data(format, &entries)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(backend: &Backend, name: Option<&str>, limit: usize) -> Result<(Vec<RevisionLine>, Option<i64>)> {
    let in_force = backend.source().await?.accepted.map(|line| line.id);
    let lines = match name {
        Some(name) => vec![find(backend, name).await?],
        None => backend.revisions(limit).await?,
    };
    Ok((lines, in_force))
}

/// Finds a revision by its number, or by the first characters of its hash or commit; the newest match wins.
async fn find(backend: &Backend, name: &str) -> Result<RevisionLine> {
    if let Ok(id) = name.parse()
        && let Some(line) = backend.revision(id).await?
    {
        return Ok(line);
    }
    let lines = backend.revisions(SEARCH_LIMIT).await?;
    lines.into_iter().rev().find(|line| matches(line, name)).with_context(|| not_found(name))
}

/// Whether a revision's hash or commit begins with a text of at least four characters.
pub(crate) fn matches(line: &RevisionLine, name: &str) -> bool {
    let begins = line.hash.starts_with(name)
        || line.commit.as_ref().is_some_and(|commit: &CommitLine| commit.id.starts_with(name));
    name.len() >= 4 && begins
}

/// The error for a revision that does not exist.
pub(crate) fn not_found(name: &str) -> String {
    format!(
        "there is no revision {name}; give its number, or at least four characters of its hash or commit, see agentpod revisions"
    )
}

/// Like `rejected (2 problems)` or `synced, in force`.
pub(crate) fn state(line: &RevisionLine, in_force: Option<i64>) -> String {
    if line.accepted_at.is_none() {
        return format!("rejected ({})", output::count(line.problems.len(), "problem"));
    }
    let state = if line.synced_at.is_some() { "synced" } else { "accepted" };
    if in_force == Some(line.id) { format!("{state}, in force") } else { state.into() }
}

/// The first twelve digits of its hash.
pub(crate) fn short(line: &RevisionLine) -> &str {
    line.hash.get(..12).unwrap_or(&line.hash)
}

/// The first ten digits of a commit's ID.
pub(crate) fn short_commit(commit: &CommitLine) -> &str {
    commit.id.get(..10).unwrap_or(&commit.id)
}

fn print_list(lines: &[RevisionLine], in_force: Option<i64>) -> Result<()> {
    let line = |line: &RevisionLine| {
        let of = |what: fn(&CommitLine) -> &str| {
            line.commit.as_ref().map_or_else(|| "-".into(), |commit| sanitize(what(commit)))
        };
        vec![
            line.id.to_string(),
            short(line).to_owned(),
            of(short_commit),
            of(|commit| commit.author.split(" <").next().unwrap_or_default()),
            timestamp(line.fetched_at),
            state(line, in_force),
            of(|commit| &commit.summary),
        ]
    };
    let rows = lines.iter().map(line).collect();
    output::table(&["ID", "REVISION", "COMMIT", "AUTHOR", "FETCHED", "STATE", "SUMMARY"], rows, "no revisions yet")
}

fn print_one(line: &RevisionLine, in_force: Option<i64>) -> Result<()> {
    let now = crate::clock::now();
    let at = |at: OffsetDateTime| format!("{} ({} ago)", timestamp(at), output::age(at, now));
    output::print(&format!("revision {} ({}): {}", line.id, short(line), state(line, in_force)))?;
    output::print(&format!("source:   {}", sanitize(&line.origin)))?;
    if let Some(commit) = &line.commit {
        output::print(&format!("commit:   {}", sanitize(&commit.id)))?;
        output::print(&format!("author:   {}, {}", sanitize(&commit.author), at(commit.committed_at)))?;
        output::print(&format!("summary:  {}", sanitize(&commit.summary)))?;
    }
    output::print(&format!("fetched:  {}", at(line.fetched_at)))?;
    for (name, when) in [("accepted", line.accepted_at), ("synced", line.synced_at)] {
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
