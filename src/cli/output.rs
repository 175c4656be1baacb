//! Writes to standard output: tables for people, JSON and YAML for scripts. A closed pipe is no error.

use std::io::{ErrorKind, Write};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Output;
use crate::core::{declare::document, printable::is_invisible};

/// Prints a text and a line end.
pub(crate) fn print(text: &str) -> Result<()> {
    print_while_open(text).map(drop)
}

/// Prints a text and a line end, and returns whether the pipe is still open. Endless output stops when it is not.
pub(crate) fn print_while_open(text: &str) -> Result<bool> {
    let mut out = anstream::stdout().lock();
    // Whatever a caller forgot to sanitize: only our own colours begin with an escape character.
    let is_kept = |c: char| matches!(c, '\n' | '\t' | '\u{1b}') || !is_invisible(c);
    let text: String = text.chars().map(|c| if is_kept(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        outcome => Ok(outcome.map(|()| true)?),
    }
}

/// Prints a value as JSON or YAML.
pub(crate) fn data(format: Output, value: &impl Serialize) -> Result<()> {
    match format {
        Output::Yaml => print(document::write(&serde_json::to_value(value)?).trim_end()),
        Output::Json | Output::Text => json(value),
    }
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints a table, or `empty` if it has no rows.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Result<()> {
    if rows.is_empty() {
        return print(empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    print(
        &text
            .lines()
            .map(|line| line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// Replaces the characters of a foreign text of one line that could move the terminal's cursor or reorder the line.
pub(crate) fn sanitize(text: &str) -> String {
    text.chars().map(|c| if is_invisible(c) && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Like [`sanitize`], for a text of several lines.
pub(crate) fn sanitize_lines(text: &str) -> String {
    text.lines().map(sanitize).collect::<Vec<_>>().join("\n")
}

/// A time in UTC, to the second.
pub(crate) fn timestamp(at: time::OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Like `1 file`, `4 files`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A duration to its largest unit, like `3m`, `2h` or `5d`.
pub(crate) fn age(from: time::OffsetDateTime, now: time::OffsetDateTime) -> String {
    match (now - from).whole_seconds().max(0) {
        s if s < 120 => format!("{s}s"),
        s if s < 7200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}
