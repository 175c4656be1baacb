//! Parses YAML into trees with the position of every key and value, and changes it in place (`change`). The only place that
//! uses the YAML crates.
//!
//! A file contains any number of documents; each is parsed by itself, so that one broken document does not hide the
//! problems of the next. Budgets refuse alias bombs and excessive nesting early.

mod change;
mod plain_words;
mod write;

use std::{fmt, sync::Arc};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub(crate) use change::{Unchangeable, change, part, remove, replace};
pub(crate) use write::write;

use crate::core::problem::{Position, Problem};

/// The most bytes of a manifest file; larger ones are refused unread.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

/// One document of one file.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file's path in the source.
    pub(crate) file: String,
    /// The whole file's text, for excerpts.
    pub(crate) text: Arc<str>,
    /// The document's content.
    pub root: Node,
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
        Problem::of_file(&self.file, what).at(at, &self.text)
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
                NodeValue::Map(_) => node.entry(key).map(|(key_at, n)| (if n.at.line == 0 { key_at } else { n.at }, n)),
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

    fn shift_lines(&mut self, by: usize) {
        self.at.line += by;
        match &mut self.value {
            NodeValue::Scalar(_) => {}
            NodeValue::List(items) => items.iter_mut().for_each(|node| node.shift_lines(by)),
            NodeValue::Map(entries) => entries.iter_mut().for_each(|(at, _, node)| {
                at.line += by;
                node.shift_lines(by);
            }),
        }
    }
}

/// Parses every document of a file. A broken document is a problem; the others are still returned.
pub fn read(file: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Problem>) {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return (Vec::new(), vec![too_large(file, bytes.len() as u64)]);
    }
    let text: Arc<str> = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').into(),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let problem = Problem::of_file(file, format!("line {line} is not valid UTF-8"));
            return (Vec::new(), vec![problem.hint("save the file as UTF-8 text")]);
        }
    };
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for (first_line, part) in split(&text) {
        match read_one(part) {
            Ok(None) => {}
            Ok(Some(mut root)) => {
                root.shift_lines(first_line);
                documents.push(Document { file: file.into(), text: text.clone(), root });
            }
            Err(SyntaxError { at, message }) => {
                let (what, hint) = plain_words::of(&message);
                let problem = Problem { hint, ..Problem::of_file(file, what) };
                let at = at.map(|at| Position { line: at.line + first_line, ..at });
                problems.push(match at {
                    Some(at) => problem.at(at, &text),
                    None => problem,
                });
            }
        }
    }
    (documents, problems)
}

/// The problem of a file that is too large.
pub(crate) fn too_large(file: &str, bytes: u64) -> Problem {
    Problem::of_file(file, format!("the file has {bytes} bytes, more than {MAX_FILE_BYTES} (1 MiB)"))
        .hint("split it, or move it out of the folder if it is not a manifest")
}

/// Splits at lines `---`; returns each part with the number of lines before it.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if bare == "---" || bare == "..." || line.starts_with("--- ") {
            parts.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + line.len(), number + 1);
        }
        offset += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}

/// The YAML parser's error.
struct SyntaxError {
    at: Option<Position>,
    message: String,
}

/// Parses one document; `None` if it has only comments.
fn read_one(text: &str) -> Result<Option<Node>, SyntaxError> {
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    let options = serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        budget: serde_yaml::budget! { max_nodes: 50_000, max_depth: 32, flow_nesting_limit: 32, max_aliases: 1_000, max_anchors: 200 },
    };
    serde_yaml::from_str_with_options::<Node>(text, options).map(Some).map_err(|error| {
        let at = error.location().map(|location| Position {
            line: (location.line() as usize).max(1),
            column: (location.column() as usize).max(1),
        });
        SyntaxError { at, message: error.without_snippet().to_string() }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_yaml::Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Self { at: position(&spanned.referenced), value: spanned.value })
    }
}

fn position(location: &serde_yaml::Location) -> Position {
    Position { line: location.line() as usize, column: location.column() as usize }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element()? {
            list.push(node);
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NodeValue, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<serde_yaml::Spanned<String>>()? {
            map.push((position(&key.referenced), key.value, entries.next_value()?));
        }
        Ok(NodeValue::Map(map))
    }
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
        assert!(read("a.yaml", b"a: \xff\n").1[0].what.contains("UTF-8"));
        assert!(read("a.yaml", &vec![b'#'; 2 << 20]).1[0].what.contains("bytes"));
    }
}
