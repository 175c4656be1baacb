//! Two texts line by line: actual and desired. Unchanged stretches are folded, and within changed lines the words that
//! differ are marked.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// How long one diff may take; after that it may be longer than necessary.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// How many unchanged lines are kept around a change.
const AROUND: usize = 3;

/// A difference as shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DiffPage {
    /// Whether both sides are known.
    pub(crate) known: bool,
    /// Why one side is unknown.
    pub(crate) why: String,
    /// Whether they differ.
    pub(crate) changed: bool,
    /// The lines, if they differ.
    pub(crate) rows: Vec<DiffRow>,
    /// The text of both, if they do not.
    pub(crate) text: String,
}

/// A line of a difference.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiffRow {
    /// `same`, `gone`, `come`, or `skip` for folded lines.
    pub(crate) kind: &'static str,
    /// Its number in the actual text.
    pub(crate) old: String,
    /// Its number in the desired text.
    pub(crate) new: String,
    /// The sign: ` `, `−` or `+`.
    pub(crate) sign: &'static str,
    /// Its text, in parts.
    pub(crate) parts: Vec<DiffPart>,
    /// The text for folded lines.
    pub(crate) text: String,
}

/// A part of a line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiffPart {
    pub(crate) text: String,
    /// Whether it differs.
    pub(crate) strong: bool,
}

impl DiffPage {
    /// A difference of which a side is unknown.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    /// From actual to desired.
    pub(crate) fn of(actual: &str, desired: &str) -> Self {
        let diff = TextDiff::configure().timeout(TIMEOUT).diff_lines(actual, desired);
        let groups = diff.grouped_ops(AROUND);
        let mut rows = Vec::new();
        let mut shown_to = 0;
        for group in &groups {
            let begin = group.first().map_or(0, |op| op.old_range().start);
            rows.extend(left_out(begin.saturating_sub(shown_to)));
            for op in group {
                rows.extend(diff.iter_inline_changes(op).map(|change| {
                    let (kind, sign) = match change.tag() {
                        ChangeTag::Equal => ("same", " "),
                        ChangeTag::Delete => ("gone", "−"),
                        ChangeTag::Insert => ("come", "+"),
                    };
                    let number = |index: Option<usize>| index.map(|index| (index + 1).to_string()).unwrap_or_default();
                    let parts = change.iter_strings_lossy().map(|(strong, text)| DiffPart {
                        strong: strong && kind != "same",
                        text: text.trim_end_matches('\n').into(),
                    });
                    DiffRow {
                        kind,
                        sign,
                        old: number(change.old_index()),
                        new: number(change.new_index()),
                        parts: parts.filter(|part| !part.text.is_empty()).collect(),
                        text: String::new(),
                    }
                }));
                shown_to = op.old_range().end;
            }
        }
        rows.extend(left_out(if groups.is_empty() { 0 } else { actual.lines().count().saturating_sub(shown_to) }));
        let changed = !groups.is_empty();
        Self {
            known: true,
            why: String::new(),
            changed,
            rows,
            text: if changed { String::new() } else { desired.into() },
        }
    }
}

/// The unified diff of a file's texts; `None` for a file that does not exist.
pub(crate) fn unified(path: &str, old: Option<&str>, new: Option<&str>) -> String {
    let name = |text: Option<&str>, side: &str| text.map_or("/dev/null".into(), |_| format!("{side}/{path}"));
    let (a, b) = (old.unwrap_or_default(), new.unwrap_or_default());
    let diff = TextDiff::configure().timeout(TIMEOUT).diff_lines(a, b);
    diff.unified_diff().context_radius(AROUND).header(&name(old, "a"), &name(new, "b")).to_string()
}

fn left_out(lines: usize) -> Option<DiffRow> {
    let text = format!("{lines} unchanged line{}", if lines == 1 { "" } else { "s" });
    (lines > 0).then_some(DiffRow {
        kind: "skip",
        sign: "",
        old: String::new(),
        new: String::new(),
        parts: Vec::new(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(diff: &DiffPage) -> Vec<String> {
        let row = |row: &DiffRow| match row.kind {
            "skip" => format!("… {}", row.text),
            _ => format!("{}{}", row.sign, row.parts.iter().map(|part| part.text.as_str()).collect::<String>()),
        };
        diff.rows.iter().map(row).collect()
    }

    #[test]
    fn a_changed_line_stands_among_its_neighbours_and_the_rest_is_folded() {
        let text = |nine: &str| {
            (0..20)
                .map(|line| if line == 9 { format!("{nine}\n") } else { format!("line {line}\n") })
                .collect::<String>()
        };
        let diff = DiffPage::of(&text("image: a:1"), &text("image: a:2"));
        let expected = [
            "… 6 unchanged lines",
            " line 6",
            " line 7",
            " line 8",
            "−image: a:1",
            "+image: a:2",
            " line 10",
            " line 11",
            " line 12",
            "… 7 unchanged lines",
        ];
        assert_eq!(shown(&diff), expected);
        assert!(diff.rows[4].parts.iter().any(|part| part.strong && part.text.contains('1')));
    }

    #[test]
    fn what_is_the_same_is_shown_whole_and_called_unchanged() {
        let diff = DiffPage::of("a: 1\nb: 2\n", "a: 1\nb: 2\n");
        assert!(diff.known && !diff.changed && diff.rows.is_empty());
        assert_eq!(diff.text, "a: 1\nb: 2\n");
    }
}
