//! Problems with what a person wrote: the position, what is wrong, and what to do. Problems are collected, so that one does
//! not hide the next.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A position in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// A problem with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The file's path below the source's root.
    pub file: String,
    /// The position, if the problem has one.
    pub(crate) at: Option<Position>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
    /// The line at the position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) excerpt: Option<String>,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn of_file(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), at: None, what: what.into(), hint: None, excerpt: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a position in `text`.
    #[must_use]
    pub fn at(mut self, at: Position, text: &str) -> Self {
        self.at = Some(at);
        self.excerpt = text.lines().nth(at.line.saturating_sub(1)).map(shorten);
        self
    }
}

/// Shortens and sanitizes a line for a terminal.
fn shorten(line: &str) -> String {
    let mut short: String = line.chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().nth(160).is_some() {
        short.push('…');
    }
    short
}

/// The width of the word or quoted text at a column.
fn word_width(line: &str, column: usize) -> usize {
    let rest = || line.chars().skip(column - 1);
    let length = rest().count();
    match rest().next() {
        Some(quote @ ('"' | '\'')) => rest().skip(1).position(|c| c == quote).map_or(length, |end| end + 2),
        Some('[' | '{' | ':') => 1,
        _ => {
            let is_end = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']' | '#');
            rest().position(is_end).unwrap_or(length).max(1)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, what, hint, excerpt } = self;
        match at {
            Some(Position { line, column }) => write!(f, "{file}:{line}:{column}: {what}")?,
            None => write!(f, "{file}: {what}")?,
        }
        if let (Some(at), Some(excerpt)) = (at, excerpt) {
            let number = at.line.to_string();
            let gutter = " ".repeat(number.len());
            write!(f, "\n  {number} | {excerpt}")?;
            if at.column <= excerpt.chars().count() {
                let carets = "^".repeat(word_width(excerpt, at.column));
                write!(f, "\n  {gutter} | {}{carets}", " ".repeat(at.column - 1))?;
            }
        }
        if let Some(hint) = hint {
            write!(f, "\n  help: {hint}")?;
        }
        Ok(())
    }
}

/// The longest text that a suggestion is sought for, in bytes; no name is longer, and comparing costs its square.
const LONGEST_COMPARED: usize = 128;

/// The known name that `written` is probably a misspelling of.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST_COMPARED {
        return None;
    }
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_with_carets_below_the_word() {
        let text = "spec:\n  adaptr: openclaw\n";
        let problem = Problem::of_file("a.yaml", "unknown field \"adaptr\"")
            .at(Position { line: 2, column: 3 }, text)
            .hint("did you mean \"adapter\"?");
        assert_eq!(
            problem.to_string(),
            "a.yaml:2:3: unknown field \"adaptr\"\n  2 |   adaptr: openclaw\n    |   ^^^^^^\n  help: did you mean \"adapter\"?"
        );
    }

    #[test]
    fn the_nearest_name_is_suggested_only_if_it_is_near() {
        assert_eq!(nearest("adaptr", ["adapter", "subdomain"]), Some("adapter"));
        assert_eq!(nearest("subDomain", ["adapter", "subdomain"]), Some("subdomain"));
        assert_eq!(nearest("zebra", ["adapter", "subdomain"]), None);
        assert_eq!(nearest(&"adapter".repeat(100_000), ["adapter", "subdomain"]), None);
    }
}
