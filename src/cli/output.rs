//! Writing to the terminal: a closed pipe ends quietly, tables for people, JSON and YAML for scripts.

use std::io::{ErrorKind, Write};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Output;
use crate::core::declare::document;

/// Prints a text and a line end; a reader that went away is no error.
pub fn print(text: &str) -> Result<()> {
    say(text).map(drop)
}

/// The same, and whether anybody still reads: what would go on and on ends then.
pub fn say(text: &str) -> Result<bool> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        outcome => Ok(outcome.map(|()| true)?),
    }
}

/// Prints a value as a script wants it.
pub fn data(how: Output, value: &impl Serialize) -> Result<()> {
    match how {
        Output::Yaml => print(document::write(&serde_json::to_value(value)?).trim_end()),
        Output::Json | Output::Text => json(value),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints a table; says `nothing` when it has no rows.
pub fn table(head: &[&str], rows: Vec<Vec<String>>, nothing: &str) -> Result<()> {
    if rows.is_empty() {
        return print(nothing);
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

/// A text that others wrote, on one line and without characters that would move a terminal's cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The same for a text of several lines.
pub fn harmless(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// A time in UTC, to the second.
pub fn clock(at: time::OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// `1 file`, `4 files`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `3m`, `2h`, `5d`: how long something has been so.
pub fn age(from: time::OffsetDateTime, now: time::OffsetDateTime) -> String {
    match (now - from).whole_seconds().max(0) {
        s if s < 120 => format!("{s}s"),
        s if s < 7200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}
