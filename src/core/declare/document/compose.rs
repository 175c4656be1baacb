//! Builds trees from the events of the YAML parser, one document after the other. A mistake is reported with its position; after
//! one that the parser cannot get over, it goes on with the next document. Depth, nodes and aliases are bounded before
//! anything is built of them, and nothing here recurses.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Value;

use super::{
    Node, NodeValue,
    plain_words::{self, Words},
    scalar::{self, NumberFault},
};
use crate::core::{printable, problem::Position};

/// How deep values may be nested, aliases included.
const MAX_DEPTH: usize = 32;
/// The most values of one document, aliases included.
const MAX_NODES: usize = 50_000;
/// The most anchors of one document: each is kept until the document ends.
const MAX_ANCHORS: usize = 200;
/// The most characters of a key or a number in a message.
const MAX_QUOTED: usize = 60;

/// A mistake in a document.
pub(super) struct Fault {
    pub(super) at: Position,
    pub(super) words: Words,
    /// Whether the line can be shown as it is: the fault is about a value that is no secret.
    pub(super) is_harmless: bool,
}

/// A document as far as it could be read.
pub(super) struct Composed {
    /// `None` if it has only comments.
    pub(super) root: Option<Node>,
    pub(super) faults: Vec<Fault>,
}

/// The documents of a text.
pub(super) struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Composer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        Self { parser: Parser::new_from_str_with_options(text, options) }
    }

    /// Gets over the rest of a document; whether there is another one.
    fn skip(&mut self) -> bool {
        self.parser.proceed_next_document().unwrap_or(false)
    }
}

impl Iterator for Composer<'_> {
    type Item = Composed;

    fn next(&mut self) -> Option<Composed> {
        let mut tree = Tree::default();
        loop {
            let fault = match self.parser.next_event()? {
                Ok((Event::StreamStart | Event::DocumentStart(..), _)) => continue,
                Ok((Event::StreamEnd, _)) => return None,
                Ok((Event::DocumentEnd, _)) => return Some(tree.finish()),
                Ok((event, span)) => match tree.take(event, &span) {
                    Ok(()) => continue,
                    Err(fault) => fault,
                },
                Err(error) => {
                    Fault { at: position(error.marker()), words: plain_words::of(error.kind()), is_harmless: false }
                }
            };
            tree.faults.push(fault);
            if !self.skip() {
                // Nothing follows: the next call finds the end.
                self.parser = Parser::new_from_str("");
            }
            return Some(tree.cut_off());
        }
    }
}

/// A document's tree while it is built.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    is_empty: bool,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    faults: Vec<Fault>,
}

/// A value with an anchor, its height and how many values it has.
struct Anchored {
    node: Node,
    height: usize,
    nodes: usize,
}

/// A list or mapping that is not closed yet.
struct Open {
    at: Position,
    anchor: usize,
    height: usize,
    nodes_before: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<(Position, String, Node)>, known: BTreeSet<String>, key: Option<Key>, merged: Vec<Node> },
}

struct Key {
    at: Position,
    text: String,
    is_merge: bool,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        let at = position(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_absent = style == ScalarStyle::Plain && is_empty(span);
                let text = if is_absent { "" } else { &*text };
                if self.awaits_key() {
                    return self.take_key(text, style, is_absent, anchor, tag.as_deref(), at);
                }
                self.count(1, at)?;
                if is_absent && self.open.is_empty() && tag.is_none() {
                    self.is_empty = true;
                }
                let value = self.scalar(text, style, tag.as_deref(), at);
                // A value that is not there is shown at its key.
                let at = if is_absent { self.key_position().unwrap_or(at) } else { at };
                self.add(Node { at, value: NodeValue::Scalar(value) }, anchor, 0, 1)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(Items::List(Vec::new()), anchor, tag.as_deref(), at),
            Event::MappingStart(_, anchor, tag) => {
                let items = Items::Map { entries: Vec::new(), known: BTreeSet::new(), key: None, merged: Vec::new() };
                self.open(items, anchor, tag.as_deref(), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { key: None, .. }, .. }))
    }

    fn key_position(&self) -> Option<Position> {
        match self.open.last() {
            Some(Open { items: Items::Map { key: Some(key), .. }, .. }) => Some(key.at),
            _ => None,
        }
    }

    fn take_key(
        &mut self,
        text: &str,
        style: ScalarStyle,
        is_absent: bool,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Fault> {
        if is_absent {
            return Err(fault(at, "a key is missing before the colon", "write key: value"));
        }
        if let Some(tag) = tag.filter(|tag| !is_plain_tag(tag) && tag.core_suffix() != Some("str")) {
            self.faults.push(unknown_tag(tag, at));
        }
        if anchor != 0 {
            self.keep(anchor, &Node { at, value: NodeValue::Scalar(text.into()) }, 0, 1, at)?;
        }
        let Some(Open { items: Items::Map { key, known, .. }, .. }) = self.open.last_mut() else { return Ok(()) };
        if !known.insert(text.to_owned()) {
            let what = format!("duplicate key: {:?} is already set above", printable::line(text, MAX_QUOTED));
            self.faults.push(fault(at, what, "remove one of the two"));
        }
        *key = Some(Key { at, text: text.to_owned(), is_merge: style == ScalarStyle::Plain && text == "<<" });
        Ok(())
    }

    /// The value of a scalar; a fault leaves a text in its place.
    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Value {
        let tag = tag.filter(|tag| !is_plain_tag(tag) || style == ScalarStyle::Plain);
        let resolved = match tag.map(|tag| (tag, tag.core_suffix())) {
            None if style == ScalarStyle::Plain => scalar::plain(text),
            None | Some((_, Some("str"))) => return text.into(),
            Some((tag, _)) if is_plain_tag(tag) => return text.into(),
            Some((tag, Some(kind @ ("int" | "float" | "bool" | "null")))) => {
                let resolved = scalar::plain(text);
                let fits = resolved.as_ref().is_ok_and(|value| match kind {
                    "int" => value.is_u64() || value.is_i64(),
                    "float" => value.is_number(),
                    "bool" => value.is_boolean(),
                    _ => value.is_null(),
                });
                if resolved.is_ok() && !fits {
                    let what = format!("this value is not what {} says", printable::line(&tag.original(), MAX_QUOTED));
                    self.faults.push(fault(at, what, "remove the tag, or correct the value"));
                }
                resolved
            }
            Some((tag, _)) => {
                self.faults.push(unknown_tag(tag, at));
                return text.into();
            }
        };
        resolved.unwrap_or_else(|error| {
            let number = printable::line(text, MAX_QUOTED / 2);
            self.faults.push(match error {
                NumberFault::TooLarge => harmless(
                    at,
                    format!("the number {number} is too large to be exact"),
                    "put it in quotes if it is an ID or a text; numbers go up to 9007199254740991",
                ),
                NumberFault::NotFinite => harmless(
                    at,
                    format!("{number} is not a number that agents can read"),
                    "put it in quotes if it is a text, or write a number",
                ),
            });
            text.into()
        })
    }

    fn open(&mut self, items: Items, anchor: usize, tag: Option<&Tag>, at: Position) -> Result<(), Fault> {
        if self.awaits_key() {
            return Err(fault(at, "a key must be a text, not a list or a mapping", "put it in quotes if it is a text"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.count(1, at)?;
        let expected = if matches!(items, Items::List(_)) { "seq" } else { "map" };
        if let Some(tag) = tag.filter(|tag| !is_plain_tag(tag) && tag.core_suffix() != Some(expected)) {
            self.faults.push(unknown_tag(tag, at));
        }
        self.open.push(Open { at, anchor, height: 0, nodes_before: self.nodes, items });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Open { at, anchor, height, nodes_before, items }) = self.open.pop() else { return Ok(()) };
        let nodes = self.nodes.saturating_sub(nodes_before).saturating_add(1);
        let value = match items {
            Items::List(items) => NodeValue::List(items),
            Items::Map { mut entries, mut known, merged, .. } => {
                for node in merged {
                    let NodeValue::Map(more) = node.value else { continue };
                    entries.extend(more.into_iter().filter(|(_, key, _)| known.insert(key.clone())));
                }
                NodeValue::Map(entries)
            }
        };
        self.add(Node { at, value }, anchor, height.saturating_add(1), nodes)
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Fault> {
        let Some(Anchored { node, height, nodes }) = self.anchors.get(&id) else {
            let what = "a value cannot contain itself: this alias stands inside the value it refers to";
            return Err(fault(at, what, "write the value out"));
        };
        if self.open.len().saturating_add(*height) > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let (height, nodes) = (*height, *nodes);
        if self.awaits_key() {
            let text = match &node.value {
                NodeValue::Scalar(Value::String(text)) => text.clone(),
                _ => return Err(fault(at, "a key must be a text", "write the key out")),
            };
            return self.take_key(&text, ScalarStyle::DoubleQuoted, false, 0, None, at);
        }
        let node = Node { at, value: node.value.clone() };
        self.count(nodes, at)?;
        self.add(node, 0, height, nodes)
    }

    fn add(&mut self, node: Node, anchor: usize, height: usize, nodes: usize) -> Result<(), Fault> {
        if anchor != 0 {
            let at = node.at;
            self.keep(anchor, &node, height, nodes, at)?;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.height = open.height.max(height);
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map { entries, key, merged, .. } => match key.take() {
                Some(Key { is_merge: true, at, .. }) => match node.value {
                    NodeValue::Map(_) => merged.push(node),
                    NodeValue::List(items) if items.iter().all(|item| matches!(item.value, NodeValue::Map(_))) => {
                        merged.extend(items);
                    }
                    _ => self.faults.push(fault(at, "<< needs a mapping to merge", "write <<: *name")),
                },
                Some(key) => entries.push((key.at, key.text, node)),
                None => {}
            },
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, node: &Node, height: usize, nodes: usize, at: Position) -> Result<(), Fault> {
        if self.anchors.len() >= MAX_ANCHORS {
            let what = format!("the document has more than {MAX_ANCHORS} anchors");
            return Err(fault(at, what, "use fewer anchors (&name), or split the document"));
        }
        self.anchors.insert(anchor, Anchored { node: node.clone(), height, nodes });
        Ok(())
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let (what, hint) = if self.anchors.is_empty() {
                (format!("the document has more than {MAX_NODES} values"), "split it into several documents or files")
            } else {
                (
                    "the document is too large with its aliases expanded".to_owned(),
                    "use fewer aliases (*name), or split the document",
                )
            };
            return Err(fault(at, what, hint));
        }
        Ok(())
    }

    fn finish(self) -> Composed {
        Composed { root: self.root.filter(|_| !self.is_empty), faults: self.faults }
    }

    /// What there is of a document that breaks off: the entries of its outermost mapping that are whole.
    fn cut_off(self) -> Composed {
        let root = self.open.into_iter().next().and_then(|outermost| match outermost.items {
            Items::Map { entries, .. } => Some(Node { at: outermost.at, value: NodeValue::Map(entries) }),
            Items::List(_) => None,
        });
        Composed { root, faults: self.faults }
    }
}

/// Whether a tag is `!`, which only says that the value is not to be interpreted.
fn is_plain_tag(tag: &Tag) -> bool {
    matches!((tag.handle(), tag.suffix()), ("", "!") | ("!", ""))
}

fn unknown_tag(tag: &Tag, at: Position) -> Fault {
    let tag = printable::line(&tag.original(), MAX_QUOTED);
    fault(
        at,
        format!("the tag {tag} means nothing here"),
        "remove it, or put the value in quotes if it belongs to a text",
    )
}

fn too_deep(at: Position) -> Fault {
    fault(at, "the document is nested too deep", format!("use at most {MAX_DEPTH} levels"))
}

fn fault(at: Position, what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { at, words: Words { what: what.into(), hint: hint.into() }, is_harmless: false }
}

fn harmless(at: Position, what: String, hint: &str) -> Fault {
    Fault { is_harmless: true, ..fault(at, what, hint) }
}

fn is_empty(span: &Span) -> bool {
    span.start.index() == span.end.index()
}

fn position(marker: &granit_parser::Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col().saturating_add(1) }
}
