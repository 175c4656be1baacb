//! The lines of a file: where each begins, found once, and how a line that does not parse is shown. A value on such a line
//! may be a secret in the wrong place, so only keys and YAML's own signs are shown of it.

use std::sync::Arc;

/// A file's text with the beginnings of its lines.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    text: Arc<str>,
    starts: Arc<[usize]>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        // As the parser does, a lone carriage return ends a line too.
        let bytes = text.as_bytes();
        let next = |at: usize| bytes.get(at.saturating_add(1));
        let is_break = |at: usize, byte: u8| byte == b'\n' || (byte == b'\r' && next(at) != Some(&b'\n'));
        let breaks = bytes.iter().enumerate().filter(|(at, byte)| is_break(*at, **byte));
        let starts = breaks.map(|(at, _)| at.saturating_add(1));
        Self { text: text.into(), starts: std::iter::once(0).chain(starts).collect() }
    }

    /// The line of a number, from 1.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        let index = number.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index.saturating_add(1)).map_or(self.text.len(), |next| *next);
        self.text.get(start..end).map(|line| line.trim_end_matches(['\r', '\n']))
    }
}

/// The most characters of a line that are looked at.
const MOST_SHOWN: usize = 200;
/// What stands for each character of a value.
const MASK: char = '·';

/// A line with every character of its values masked; keys, blanks and YAML's own signs stay.
pub(super) fn masked(line: &str) -> String {
    let characters: Vec<char> = line.chars().take(MOST_SHOWN).collect();
    let mut shown = String::with_capacity(characters.len());
    // Whether a key may begin here: at the beginning of the line, and after what opens or separates entries.
    let mut key_may_begin = true;
    let mut rest = characters.as_slice();
    while let [first, after @ ..] = rest {
        match first {
            '{' | ',' | '[' => key_may_begin = true,
            '-' if key_may_begin && after.first().is_none_or(|c| *c == ' ') => {}
            ' ' | '\t' | '"' | '\'' | '}' | ']' => {}
            ':' if after.first().is_none_or(|c| c.is_whitespace()) => key_may_begin = false,
            '#' if shown.is_empty() || shown.ends_with(' ') => return shown + "#",
            _ => {
                let word = rest.iter().take_while(|c| !is_sign(**c)).count().max(1);
                let (word, after) = rest.split_at(word);
                let is_key = key_may_begin && is_key(word, after);
                shown.extend(word.iter().map(|c| if is_key { *c } else { MASK }));
                key_may_begin = false;
                rest = after;
                continue;
            }
        }
        shown.push(*first);
        rest = after;
    }
    shown
}

fn is_sign(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | ',' | '{' | '}' | '[' | ']' | '"' | '\'')
}

/// Whether a word is a key: one of ordinary characters, with a colon behind it.
fn is_key(word: &[char], after: &[char]) -> bool {
    let is_name =
        word.len() <= 64 && word.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let mut after = after.iter().skip_while(|c| matches!(c, '"' | '\'' | ' '));
    is_name && after.next() == Some(&':') && after.next().is_none_or(|c| c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_number() {
        let lines = Lines::of("a\r\nb\n\nd");
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|number| lines.line(number)),
            [None, Some("a"), Some("b"), Some(""), Some("d"), None]
        );
    }

    #[test]
    fn of_a_line_that_does_not_parse_only_keys_are_shown() {
        for (line, shown) in [
            ("  API_KEY: \"sk-s3cret", "  API_KEY: \"·········"),
            ("spec: {adapter: echo, subdomain: [", "spec: {adapter: ····, subdomain: ["),
            ("  - sk-s3cret: x", "  - sk-s3cret: ·"),
            ("  sk-s3cret", "  ·········"),
            ("name: Bob: the builder", "name: ···: ··· ·······"),
            ("a: b # s3cret", "a: · #"),
            ("url: postgres://u:p@h", "url: ················"),
        ] {
            assert_eq!(masked(line), *shown, "{line}");
        }
    }
}
