//! Parses YAML into trees with the position of every key and value, and changes it in place (`change`). The only place that
//! uses the YAML crates.
//!
//! A file contains any number of documents, which the parser itself tells apart; one that is broken does not hide the
//! problems of the next, and every byte of a file is either part of a document or a problem. Size, depth and aliases are
//! bounded before anything is built.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod change;
mod compose;
mod excerpt;
mod plain_words;
mod scalar;
mod write;

use serde_json::{Map, Value};

pub(crate) use change::{Unchangeable, change, part, remove, replace};
pub(crate) use write::write;

use self::{
    compose::{Composed, Composer, Fault},
    excerpt::Lines,
};
use crate::core::{
    printable,
    problem::{Position, Problem, Problems},
};

/// The most bytes of a manifest file; larger ones are refused unread.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

/// One document of one file.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file's path in the source.
    pub(crate) file: String,
    /// The whole file's lines, for excerpts.
    lines: Lines,
    /// The document's content.
    pub root: Node,
    /// Whether all of it could be read; of one that could not, only what names it is of use.
    pub(crate) is_whole: bool,
    /// If only single values could not be read: where they are. The rest of the document is of use.
    pub(crate) unread_values: Vec<Position>,
}

/// A value with its position.
#[derive(Debug, Clone)]
pub struct Node {
    /// The start of the value.
    pub(crate) at: Position,
    /// The value.
    pub(crate) value: NodeValue,
}

/// The value of a [`Node`].
#[derive(Debug, Clone)]
pub(crate) enum NodeValue {
    /// A null, boolean, number or string.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in its written order: the key's position, the key, its value.
    Map(Vec<(Position, String, Node)>),
}

impl Document {
    /// A problem at a position in this document.
    pub(crate) fn problem(&self, at: Position, what: impl Into<String>) -> Problem {
        Problem::of_file(&self.file, what).on_line(at, self.lines.line(at.line))
    }
}

impl Node {
    /// The value without positions.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(value) => value.clone(),
            NodeValue::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Map(entries) => {
                Value::Object(entries.iter().map(|(_, key, node)| (key.clone(), node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The entry `key` of a mapping: the key's position, and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<(Position, &Node)> {
        let NodeValue::Map(entries) = &self.value else { return None };
        entries.iter().find(|(_, name, _)| name == key).map(|(at, _, node)| (*at, node))
    }

    /// The text at `path`, if there is one.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        match &self.get(path)?.value {
            NodeValue::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The node at a path.
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            NodeValue::List(items) => items.get(key.parse::<usize>().ok()?),
            _ => node.entry(key).map(|(_, node)| node),
        })
    }

    /// Whether the path is a key without a value.
    pub(crate) fn is_empty_at(&self, path: &[&str]) -> bool {
        self.get(path).is_some_and(|node| matches!(node.value, NodeValue::Scalar(Value::Null)))
    }

    /// The position of the value at a path, or of its nearest existing ancestor.
    pub(crate) fn locate<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Position {
        let mut node = self;
        let mut at = self.at;
        for key in path {
            let next = match &node.value {
                NodeValue::List(items) => key.parse().ok().and_then(|index: usize| items.get(index)).map(|n| (n.at, n)),
                NodeValue::Map(_) => node.entry(key).map(|(_, n)| (n.at, n)),
                NodeValue::Scalar(_) => None,
            };
            let Some((next_at, next_node)) = next else { break };
            (at, node) = (next_at, next_node);
        }
        at
    }

    /// The position of the last key of a path, or of the nearest value if there is no such key.
    pub(crate) fn locate_key<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Position {
        let path: Vec<&str> = path.into_iter().collect();
        let Some((last, holders)) = path.split_last() else { return self.at };
        let holder = self.get(holders);
        holder.and_then(|node| node.entry(last)).map_or_else(|| self.locate(path), |(at, _)| at)
    }
}

/// Parses every document of a file. A broken document is a problem; the others are still returned.
pub fn read(file: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Problem>) {
    let mut problems = Problems::default();
    let mut documents = read_into(file, bytes, &mut problems);
    documents.retain(|document| document.is_whole);
    (documents, problems.finish())
}

/// Like [`read`], with the documents that are broken as far as they could be read.
pub(crate) fn read_into(file: &str, bytes: &[u8], problems: &mut Problems) -> Vec<Document> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        problems.push(too_large(file, bytes.len() as u64));
        return Vec::new();
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let breaks = bytes.get(..error.valid_up_to()).unwrap_or_default().iter().filter(|byte| **byte == b'\n');
            let what = format!("line {} is not valid UTF-8", breaks.count().saturating_add(1));
            problems.push(Problem::of_file(file, what).hint("save the file as UTF-8 text"));
            return Vec::new();
        }
    };
    let lines = Lines::of(text);
    if let Some(problem) = unprintable(file, text) {
        problems.push(problem);
        return Vec::new();
    }
    if let Some(problem) = merge_conflict(file, &lines, text) {
        problems.push(problem);
        return Vec::new();
    }
    let mut documents = Vec::new();
    for Composed { root, faults } in Composer::new(text) {
        let is_whole = faults.is_empty();
        let is_almost_whole = faults.iter().all(|fault| fault.is_harmless);
        let unread_values = if is_almost_whole { faults.iter().map(|fault| fault.at).collect() } else { Vec::new() };
        problems.extend(faults.into_iter().map(|fault| fault_problem(file, fault, &lines)));
        let nothing = || Node { at: Position { line: 1, column: 1 }, value: NodeValue::Map(Vec::new()) };
        let root = root.or_else(|| (!is_whole).then(nothing));
        documents.extend(root.map(|root| Document {
            file: file.into(),
            lines: lines.clone(),
            root,
            is_whole,
            unread_values,
        }));
    }
    documents
}

fn fault_problem(file: &str, fault: Fault, lines: &Lines) -> Problem {
    let Fault { at, words, is_harmless } = fault;
    let problem = Problem::of_file(file, words.what).hint(words.hint);
    match lines.line(at.line) {
        Some(line) if is_harmless => problem.on_line(at, Some(line)),
        line => problem.on_line(at, line.map(excerpt::masked).as_deref()),
    }
}

/// The problem of a file with the marks of a merge that nobody finished.
fn merge_conflict(file: &str, lines: &Lines, text: &str) -> Option<Problem> {
    let index = text.lines().position(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))?;
    let at = Position { line: index.saturating_add(1), column: 1 };
    let problem = Problem::of_file(file, "a merge of two versions of this file was not finished")
        .on_line(at, lines.line(at.line));
    Some(problem.hint("keep what is right of both, and remove the lines <<<<<<<, ======= and >>>>>>>"))
}

/// The problem of a text with characters that YAML does not allow, or that make a line look like another one.
fn unprintable(file: &str, text: &str) -> Option<Problem> {
    let is_refused = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c.is_control() || printable::is_override(c),
    };
    let found = |(line, text): (usize, &str)| Some((line, text.chars().find(|c| is_refused(*c))?));
    let (line, found) = text.lines().enumerate().find_map(found)?;
    let code = u32::from(found);
    let what = format!("line {} contains the invisible character U+{code:04X}", line.saturating_add(1));
    Some(Problem::of_file(file, what).hint(format!("remove it, or write it in double quotes as \"\\u{code:04X}\"")))
}

/// The problem of a file that is too large.
pub(crate) fn too_large(file: &str, bytes: u64) -> Problem {
    Problem::of_file(file, format!("the file has {bytes} bytes, more than {MAX_FILE_BYTES} (1 MiB)"))
        .hint("split it, or move it out of the folder if it is not a manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Document {
        let (mut documents, problems) = read("a.yaml", text.as_bytes());
        assert_eq!(problems, []);
        documents.remove(0)
    }

    fn problems(text: &str) -> Vec<String> {
        read("a.yaml", text.as_bytes()).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_value_has_its_position_even_in_the_second_document() {
        let (documents, _) = read("a.yaml", b"a: 1\n---\nb:\n  c: [x, y]\n");
        let root = &documents[1].root;
        assert_eq!(root.locate(["b", "c", "1"]), Position { line: 4, column: 10 });
        assert_eq!(root.locate(["b", "missing"]), Position { line: 4, column: 3 });
        assert_eq!(root.to_json(), serde_json::json!({"b": {"c": ["x", "y"]}}));
    }

    #[test]
    fn words_that_look_like_numbers_or_booleans_stay_words() {
        let json = only("a: no\nb: 012\nc: 1_000\nd: 1.10\ne: true\nf: 7\ng: ~\n").root.to_json();
        assert_eq!(
            json,
            serde_json::json!({"a": "no", "b": "012", "c": "1_000", "d": 1.1, "e": true, "f": 7, "g": null})
        );
    }

    #[test]
    fn a_duplicate_key_is_a_problem_with_its_position() {
        let found = problems("a: 1\nb: 2\na: 3\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.yaml:3:1: ") && found[0].contains("duplicate"), "{found:?}");
    }

    #[test]
    fn one_broken_document_does_not_hide_the_others() {
        let (documents, problems) = read("a.yaml", b"a: 1\n---\nb: [\n---\nc: 'x\n---\nd: 4\n");
        assert_eq!((documents.len(), problems.len()), (2, 2));
        assert!(problems.iter().all(|p| p.at.is_some()), "{problems:?}");
    }

    #[test]
    fn an_alias_bomb_is_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        assert_eq!(problems(&bomb).len(), 1);
        assert_eq!(problems(&"[".repeat(5_000)).len(), 1);
        assert_eq!(problems(&"- ".repeat(5_000)).len(), 1);
        assert_eq!(problems(&format!("a: {}", "{b: ".repeat(5_000))).len(), 1);
    }

    #[test]
    fn a_file_that_is_not_text_or_too_large_is_refused() {
        assert!(problems("").is_empty() && problems("# nothing\n---\n").is_empty());
        assert!(problems("%YAML 1.2\n---\n# x\n...\n").is_empty());
        assert!(read("a.yaml", b"a: \xff\n").1[0].what.contains("UTF-8"));
        assert!(read("a.yaml", &vec![b'#'; 2 << 20]).1[0].what.contains("bytes"));
    }
    /// The documents of a text as JSON, or how many problems it has.
    fn parsed(text: &str) -> Result<Vec<Value>, Vec<String>> {
        let (documents, problems) = read("a.yaml", text.as_bytes());
        match problems.is_empty() {
            true => Ok(documents.iter().map(|document| document.root.to_json()).collect()),
            false => Err(problems.iter().map(|problem| problem.what.clone()).collect()),
        }
    }

    #[test]
    fn a_document_may_begin_on_the_line_of_its_marker() {
        let two = Ok(vec![serde_json::json!({"a": 1}), serde_json::json!({"b": 2})]);
        for text in [
            "---\n{a: 1}\n---\n{b: 2}\n",
            "--- {a: 1}\n--- {b: 2}\n",
            "--- !!map {a: 1}\n--- !!map\nb: 2\n",
            "---\t# x\na: 1\n---\t# y\nb: 2\n",
            "%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n--- {b: 2}\n",
            "\u{feff}a: 1\n...\n\u{feff}---\nb: 2\n",
            "a: 1\n... # end\nb: 2\n",
            "{a: 1}\r\n--- {b: 2}\r\n",
        ] {
            assert_eq!(parsed(text), two, "{text:?}");
        }
        assert_eq!(parsed("--- |\n one\n ---\n two\n"), Ok(vec!["one\n---\ntwo\n".into()]));
    }

    #[test]
    fn what_is_not_part_of_a_document_is_a_problem() {
        for text in ["a: 1\n... b: 2\n", "a: 1\n\u{feff}---\nb: 2\n", "a: 1\n\0\nb: 2\n"] {
            assert!(parsed(text).is_err(), "{text:?}: {:?}", parsed(text));
        }
    }

    #[test]
    fn every_mistake_of_a_document_is_told_that_the_parser_gets_over() {
        let found = parsed("a: !secret x\na: 9007199254740993\nb: .inf\nc: !!int x\n").unwrap_err();
        assert_eq!(
            found,
            [
                "the tag !secret means nothing here",
                "duplicate key: \"a\" is already set above",
                "the number 9007199254740993 is too large to be exact",
                ".inf is not a number that agents can read",
                "this value is not what !!int says",
            ]
        );
        assert_eq!(
            parsed("a: !!str 7\nb: ! 7\nc: !!int 7\n"),
            Ok(vec![serde_json::json!({"a": "7", "b": "7", "c": 7})])
        );
    }

    #[test]
    fn merged_mappings_lose_to_what_is_written() {
        let text = "base: &base {a: 1, b: 2}\nout: {<<: *base, b: 3}\nboth: {b: 4, <<: [*base, {c: 5}]}\n";
        let json = only(text).root.to_json();
        assert_eq!(json["out"], serde_json::json!({"b": 3, "a": 1}));
        assert_eq!(json["both"], serde_json::json!({"b": 4, "a": 1, "c": 5}));
    }

    #[test]
    fn aliases_cannot_nest_deeper_than_what_is_written() {
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..60 {
            deep += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert_eq!(parsed(&deep).unwrap_err(), ["the document is nested too deep"]);
        assert!(parsed("a: &a [*a]\n").unwrap_err()[0].contains("cannot contain itself"));
    }

    #[test]
    fn a_secret_on_a_line_that_does_not_parse_is_not_shown() {
        for text in ["key: [s3cret\n", "a: 'x' s3cret\n", "a: 1\n\ts3cret\n", "a: @s3cret\n", "a: 1\na: s3cret\n"] {
            let found = problems(text);
            assert!(!found.is_empty() && !found.concat().contains("s3cret"), "{text:?}: {found:?}");
        }
    }
}
