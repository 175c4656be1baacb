//! Changes one document in a file's own text: what is not changed keeps its comments, order, quoting and place. The result
//! is read again and has to mean exactly what was requested; otherwise nothing is changed, and the error says so.

use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Document as EditableDocument, Mapping, Sequence, YamlFile, YamlNode};

use super::{read, write};

/// The text could not be changed without changing something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is written in a way that AgentPod cannot change without changing something else")]
pub(crate) struct Unchangeable;

/// How lists are changed.
#[derive(Clone, Copy, PartialEq)]
enum Lists {
    /// Item by item, so that comments between them stay.
    ByItem,
    /// As a whole.
    Whole,
}

/// The text with another value as its document `index`, counted from 0 without empty documents.
pub(crate) fn change(text: &str, index: usize, after: &Value) -> Result<String, Unchangeable> {
    let before = values(text)?;
    let mut expected = before.clone();
    *expected.get_mut(index).ok_or(Unchangeable)? = after.clone();
    let means_that = |changed: &String| values(changed).is_ok_and(|values| values == expected);
    [Lists::ByItem, Lists::Whole]
        .into_iter()
        .filter_map(|lists| changed(text, index, before.get(index)?, after, lists))
        .find(means_that)
        .ok_or(Unchangeable)
}

/// The lines of a document, with the comments above it and without its separator, if that has a line of its own.
pub(crate) fn part(text: &str, index: usize) -> Result<&str, Unchangeable> {
    let (documents, _) = read("", text.as_bytes());
    let extent = Extent::of(text, documents.get(index).ok_or(Unchangeable)?.root.at.line);
    text.get(extent.content..extent.end).ok_or(Unchangeable)
}

/// The text with other lines in place of those of its document `index`; the other documents have to stay what they are.
pub(crate) fn replace(text: &str, index: usize, lines: &str) -> Result<String, Unchangeable> {
    let (documents, _) = read("", text.as_bytes());
    let extent = Extent::of(text, documents.get(index).ok_or(Unchangeable)?.root.at.line);
    let (before, after) = text.get(..extent.content).zip(text.get(extent.end..)).ok_or(Unchangeable)?;
    let end = if lines.ends_with('\n') || after.is_empty() { "" } else { "\n" };
    let replaced = format!("{before}{lines}{end}{after}");
    // What is wrong with the new lines is for the caller to say, with its place.
    if let (Ok(mut old), Ok(mut new)) = (values(text), values(&replaced)) {
        if old.len() != new.len() || index >= old.len() {
            return Err(Unchangeable);
        }
        old.remove(index);
        new.remove(index);
        if old != new {
            return Err(Unchangeable);
        }
    }
    Ok(replaced)
}

/// The text without its document `index`, with the comments above it; `None` if no other document is in it.
pub(crate) fn remove(text: &str, index: usize) -> Result<Option<String>, Unchangeable> {
    let mut expected = values(text)?;
    if index >= expected.len() {
        return Err(Unchangeable);
    }
    expected.remove(index);
    if expected.is_empty() {
        return Ok(None);
    }
    let (documents, _) = read("", text.as_bytes());
    let extent = Extent::of(text, documents.get(index).ok_or(Unchangeable)?.root.at.line);
    let (before, after) = text.get(..extent.start).zip(text.get(extent.end..)).ok_or(Unchangeable)?;
    let after = match before.is_empty() {
        true => after.strip_prefix("---\n").or_else(|| after.strip_prefix("---\r\n")).unwrap_or(after),
        false => after,
    };
    let kept = format!("{before}{after}");
    match values(&kept)? == expected {
        true => Ok(Some(kept)),
        false => Err(Unchangeable),
    }
}

/// Where a document is in its file, as byte offsets.
struct Extent {
    /// Its separator, or the beginning of the file.
    start: usize,
    /// Its first line after a separator that has a line of its own.
    content: usize,
    /// The next document's separator, or the end of the file.
    end: usize,
}

impl Extent {
    /// The extent of the document whose value begins on this line, counted from 1.
    fn of(text: &str, line: usize) -> Self {
        let is_separator = |line: &str| line.starts_with("---");
        let (mut start, mut content, mut end, mut offset) = (0, 0, text.len(), 0);
        for (number, bytes) in text.split_inclusive('\n').enumerate() {
            if is_separator(bytes) {
                if number >= line {
                    end = offset;
                    break;
                }
                start = offset;
                content = if bytes.trim_end() == "---" { offset.saturating_add(bytes.len()) } else { offset };
            }
            offset = offset.saturating_add(bytes.len());
        }
        Self { start, content, end }
    }
}

/// The value of every document of a text without problems.
fn values(text: &str) -> Result<Vec<Value>, Unchangeable> {
    let (documents, problems) = read("", text.as_bytes());
    match problems.is_empty() {
        true => Ok(documents.iter().map(|document| document.root.to_json()).collect()),
        false => Err(Unchangeable),
    }
}

fn changed(text: &str, index: usize, before: &Value, after: &Value, lists: Lists) -> Option<String> {
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let file = YamlFile::from_str(body).ok()?;
    let root = file.documents().filter_map(|document| document.as_mapping()).nth(index)?;
    change_mapping(&root, before.as_object()?, after.as_object()?, lists)?;
    Some(format!("{mark}{file}"))
}

fn change_mapping(
    mapping: &Mapping,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    lists: Lists,
) -> Option<()> {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        mapping.remove(key.as_str())?;
    }
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new))
                if !old.is_empty() && mapping.get_mapping(key.as_str()).is_some() =>
            {
                change_mapping(&mapping.get_mapping(key.as_str())?, old, new, lists)?;
            }
            (Some(Value::Array(old)), Value::Array(new))
                if lists == Lists::ByItem
                    && !old.is_empty()
                    && !new.is_empty()
                    && mapping.get_sequence(key.as_str()).is_some() =>
            {
                change_sequence(&mapping.get_sequence(key.as_str())?, old, new)?;
            }
            (_, Value::Bool(value)) => mapping.set(key.as_str(), *value),
            (_, Value::Number(number)) if number.is_i64() => mapping.set(key.as_str(), number.as_i64()?),
            (_, Value::Number(number)) if number.is_u64() => mapping.set(key.as_str(), number.as_u64()?),
            (_, value) => mapping.set(key.as_str(), node(value)?),
        }
    }
    Some(())
}

/// Changes the items that differ, and adds or removes at the end.
fn change_sequence(sequence: &Sequence, before: &[Value], after: &[Value]) -> Option<()> {
    for (index, value) in after.iter().enumerate() {
        match before.get(index) {
            Some(old) if old == value => {}
            Some(_) => sequence.set(index, node(value)?).then_some(())?,
            None => sequence.push(node(value)?),
        }
    }
    for index in (after.len()..before.len()).rev() {
        sequence.remove(index)?;
    }
    Some(())
}

/// A value as this program writes it, so that it is quoted where our reader needs that.
fn node(value: &Value) -> Option<YamlNode> {
    let text = write(value);
    let text = match value {
        Value::Array(items) if !items.is_empty() => indented(&text),
        Value::Object(entries) if !entries.is_empty() => indented(&text),
        _ => format!("value: {text}"),
    };
    EditableDocument::from_str(&text).ok()?.get("value")
}

fn indented(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    format!("value:\n{lines}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "# Alice's agents\n\
        apiVersion: agentpod.dev/v1 # the version\n\
        kind: Pod\n\
        metadata: {name: assistant, tenant: alice}\n\
        spec:\n  \
          adapter: echo\n  \
          subdomain: 'alice'   # quoted\n\
        \n  \
          # what it says\n  \
          config:\n    \
            greeting: \"hi\"  # friendly\n    \
            names:\n    \
            - one\n    \
            - two # the second\n\
        ---\n\
        # Bob's\n\
        kind: Pod\n\
        spec: {adapter: echo, config: {greeting: hello}}\n";

    fn after(index: usize, edit: impl FnOnce(&mut Value)) -> String {
        let mut value = values(FILE).unwrap().remove(index);
        edit(&mut value);
        change(FILE, index, &value).unwrap()
    }

    #[test]
    fn one_value_is_changed_and_every_other_character_stays() {
        let changed = after(0, |value| value["spec"]["config"]["greeting"] = json!("good morning: all"));
        assert_eq!(changed, FILE.replace("\"hi\"", "\"good morning: all\""));
        let changed = after(1, |value| value["spec"]["config"]["greeting"] = json!("no"));
        assert_eq!(changed, FILE.replace("greeting: hello", "greeting: \"no\""));
    }

    #[test]
    fn what_is_new_is_added_at_the_end_of_its_part_and_what_goes_takes_its_line_alone() {
        let changed = after(0, |value| {
            value["spec"]["state"] = json!("stopped");
            value["spec"]["resources"] = json!({"memory": "1Gi", "cpus": 0.5});
            value["spec"]["config"].as_object_mut().unwrap().remove("greeting");
        });
        let expected = FILE.replace("    greeting: \"hi\"  # friendly\n", "").replace(
            "# the second\n",
            "# the second\n  state: stopped\n  resources:\n    memory: 1Gi\n    cpus: 0.5\n",
        );
        assert_eq!(changed, expected);
    }

    #[test]
    fn comments_between_the_items_of_a_list_stay() {
        let changed = after(0, |value| value["spec"]["config"]["names"] = json!(["1", "two", "three"]));
        assert!(changed.contains("- two # the second"), "{changed}");
    }

    #[test]
    fn a_removed_document_takes_its_separator_and_the_comments_above_it_along() {
        let (first, second) = FILE.split_at(FILE.find("---").unwrap());
        assert_eq!(remove(FILE, 1), Ok(Some(first.to_owned())));
        assert_eq!(remove(FILE, 0), Ok(Some(second.trim_start_matches("---\n").to_owned())));
        assert_eq!(remove(first, 0), Ok(None), "the file has nothing else");
        assert_eq!(remove(FILE, 2), Err(Unchangeable));
    }

    #[test]
    fn the_lines_of_one_document_are_replaced_and_must_leave_the_others_alone() {
        let second = part(FILE, 1).unwrap();
        assert_eq!(second, "# Bob's\nkind: Pod\nspec: {adapter: echo, config: {greeting: hello}}\n");
        assert!(part(FILE, 0).unwrap().starts_with("# Alice's agents\n"));
        let replaced = replace(FILE, 1, "# new\nkind: Pod").unwrap();
        assert_eq!(replaced, FILE.replace(second, "# new\nkind: Pod"));
        let first = replace(FILE, 0, "kind: Pod").unwrap();
        assert!(first.starts_with("kind: Pod\n---\n# Bob's"), "{first}");
        assert_eq!(
            replace(FILE, 0, "kind: Pod\n---\nkind: Tenant\n"),
            Err(Unchangeable),
            "that would be another document"
        );
        assert!(replace(FILE, 0, "kind: [").is_ok(), "what is wrong with it is said with its place");
    }

    #[test]
    fn a_file_with_a_problem_is_not_changed() {
        assert_eq!(change("a: [\n", 0, &json!({})), Err(Unchangeable));
        assert_eq!(change("- a\n", 0, &json!({"a": 1})), Err(Unchangeable), "not a manifest");
    }

    #[test]
    fn whatever_the_style_the_result_means_what_was_asked_for() {
        let tricky = json!({"a": "no", "b": "012", "c": "a\nb\n", "d": {"e": [1, {"f": null}], "g": {}, "h": []}, "yes": true,
            "i": "- x", "j": "# y", "k": "", "l": "\u{e4}: \u{1f600}", "m": 1.5, "n": -3, "o": "1e3", "p": "~"});
        for text in [
            "spec:\n  config:\n    x: 1\n",
            "spec:\r\n  config:\r\n    x: 1\r\n",
            "{spec: {config: {x: 1}}}\n",
            "\"spec\": {\"config\": {\"x\": 1}}",
            "spec:\n    config: {}\n",
            "spec: # why\n\n  # more\n  config:\n\n      x: |\n        text\n\n# end\n",
            "\u{feff}spec:\n  config:\n    x: 1\n",
        ] {
            let mut value = values(text).unwrap().remove(0);
            value["spec"]["config"] = tricky.clone();
            match change(text, 0, &value) {
                Ok(changed) => assert_eq!(values(&changed).unwrap(), [value], "{text}"),
                Err(Unchangeable) => panic!("{text}"),
            }
        }
        // What is written once and read twice is not changed in one place.
        let mut value = values("spec:\n  config: &a\n    x: 1\n  other: *a\n").unwrap().remove(0);
        value["spec"]["config"] = tricky;
        assert!(change("spec:\n  config: &a\n    x: 1\n  other: *a\n", 0, &value).is_err());
    }
}
