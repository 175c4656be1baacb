//! Problems with what a person wrote: the position, what is wrong, and what to do. Problems are collected, so that one does
//! not hide the next; what is quoted of a file is cut and made fit to be shown, whoever wrote it.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod collected;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use collected::Problems;

use super::printable;

/// The most characters of a path, of what is wrong and of what to do, and of a line that is shown.
const MOST_OF_PATH: usize = 200;
const MOST_OF_WHAT: usize = 400;
const MOST_OF_HINT: usize = 600;
const MOST_OF_LINE: usize = 160;

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
        let (file, what) = (file.into(), printable::line(&what.into(), MOST_OF_WHAT));
        Self { file, at: None, what, hint: None, excerpt: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable::line(&hint.into(), MOST_OF_HINT));
        self
    }

    /// Adds a position in `text`.
    #[must_use]
    pub fn at(self, at: Position, text: &str) -> Self {
        let line = text.lines().nth(at.line.saturating_sub(1));
        self.on_line(at, line)
    }

    /// Adds a position and the line there.
    #[must_use]
    pub(crate) fn on_line(self, at: Position, line: Option<&str>) -> Self {
        Self { at: Some(at), excerpt: line.map(|line| printable::line(line, MOST_OF_LINE)), ..self }
    }
}

/// The width of the word or quoted text at a column.
fn word_width(line: &str, column: usize) -> usize {
    let rest = || line.chars().skip(column.saturating_sub(1));
    let length = rest().count();
    match rest().next() {
        Some(quote @ ('"' | '\'')) => {
            rest().skip(1).position(|c| c == quote).map_or(length, |end| end.saturating_add(2))
        }
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
        // A problem can come from another program too, like a server.
        let (file, what) = (printable::line(file, MOST_OF_PATH), printable::line(what, MOST_OF_WHAT));
        match at {
            Some(Position { line, column }) => write!(f, "{file}:{line}:{column}: {what}")?,
            None => write!(f, "{file}: {what}")?,
        }
        if let (Some(at), Some(excerpt)) = (at, excerpt) {
            let excerpt = printable::line(excerpt, MOST_OF_LINE.saturating_add(1));
            let number = at.line.to_string();
            let gutter = " ".repeat(number.len());
            write!(f, "\n  {number} | {excerpt}")?;
            if (1..=excerpt.chars().count()).contains(&at.column) {
                let carets = "^".repeat(word_width(&excerpt, at.column));
                write!(f, "\n  {gutter} | {}{carets}", " ".repeat(at.column.saturating_sub(1)))?;
            }
        }
        if let Some(hint) = hint {
            write!(f, "\n  help: {}", printable::line(hint, MOST_OF_HINT))?;
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
        .filter(|(distance, name)| *distance <= (name.len() / 4).saturating_add(1))
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
