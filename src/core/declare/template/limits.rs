//! Bounds a template before the engine parses it. The engine's parser and compiler recurse once for each operator of an
//! expression and for each `elif`; a text of a few kilobytes could end the whole process.

/// The most bytes of a template.
const MAX_BYTES: usize = 256 << 10;
/// The most tags, `{{ … }}` and `{% … %}`, of a template.
const MAX_TAGS: usize = 2_000;
/// The most operators of one tag; an ordinary one has a few.
const MAX_OPERATORS: usize = 100;
/// The most `elif` of a template.
const MAX_ALTERNATIVES: usize = 50;

/// Operators that are words.
const WORDS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];

/// A template that is too large in one way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct TooLarge(String);

/// Checks a template's size; on failure also the offset of what is too large.
pub(super) fn check(text: &str) -> Result<(), (usize, TooLarge)> {
    let too_large = |at: usize, what: String| Err((at, TooLarge(what)));
    if text.len() > MAX_BYTES {
        return too_large(0, format!("the template has {} bytes, more than {MAX_BYTES}", text.len()));
    }
    let (mut at, mut tags, mut alternatives) = (0usize, 0usize, 0usize);
    while let Some(opening) = text.get(at..).and_then(|rest| rest.find('{')) {
        let start = at.saturating_add(opening);
        let inside = start.saturating_add(2);
        at = match text.as_bytes().get(start.saturating_add(1)) {
            Some(b'{' | b'%') => {
                tags = tags.saturating_add(1);
                if tags > MAX_TAGS {
                    return too_large(start, format!("the template has more than {MAX_TAGS} tags"));
                }
                let rest = text.get(inside..).unwrap_or_default();
                let Tag { length, operators } = Tag::of(rest);
                if operators > MAX_OPERATORS {
                    return too_large(start, format!("an expression has more than {MAX_OPERATORS} operators"));
                }
                if rest.trim_start_matches(['-', '+', ' ', '\t', '\n', '\r']).starts_with("elif") {
                    alternatives = alternatives.saturating_add(1);
                    if alternatives > MAX_ALTERNATIVES {
                        return too_large(start, format!("the template has more than {MAX_ALTERNATIVES} elif"));
                    }
                }
                inside.saturating_add(length)
            }
            Some(b'#') => {
                let rest = text.get(inside..).unwrap_or_default();
                inside.saturating_add(rest.find("#}").map_or(rest.len(), |end| end.saturating_add(2)))
            }
            _ => start.saturating_add(1),
        };
    }
    Ok(())
}

/// The inside of a tag.
struct Tag {
    length: usize,
    operators: usize,
}

impl Tag {
    /// Reads up to the tag's end; what looks like one inside a text in quotes is none. Both kinds of end count for both kinds
    /// of tags: should that end one too early, the rest is plain text to us and too little to matter to the engine.
    fn of(text: &str) -> Self {
        let (mut operators, mut quote, mut word_start) = (0usize, None, None);
        let bytes = text.as_bytes();
        let mut at = 0usize;
        while let Some(byte) = bytes.get(at) {
            let is_word = byte.is_ascii_alphanumeric() || *byte == b'_';
            if quote.is_none() {
                if let (Some(start), false) = (word_start, is_word) {
                    let is_operator = text.get(start..at).is_some_and(|word| WORDS.contains(&word));
                    operators = operators.saturating_add(usize::from(is_operator));
                }
                word_start = if is_word { word_start.or(Some(at)) } else { None };
            }
            match (quote, byte) {
                (Some(_), b'\\') => at = at.saturating_add(1),
                (Some(open), close) if open == *close => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'}' | b'%')
                    if text.get(at..).is_some_and(|rest| rest.starts_with("}}") || rest.starts_with("%}")) =>
                {
                    return Self { length: at.saturating_add(2), operators };
                }
                (
                    None,
                    b'|' | b'.' | b'[' | b'(' | b'{' | b'+' | b'-' | b'~' | b'*' | b'/' | b'%' | b'<' | b'>' | b'='
                    | b'!',
                ) => {
                    operators = operators.saturating_add(1);
                }
                (None, _) => {}
            }
            at = at.saturating_add(1);
        }
        Self { length: text.len(), operators }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_templates_are_small_enough() {
        let list = format!("{{% set all = [{}] %}}", "\"a.b|c - d\", ".repeat(1_000));
        for text in ["", "{{ a }}", "{ {{ a|default('}}') }} }", "{# {{ #}{% if a %}{{ b }}{% endif %}", &list, "{"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_the_parser_would_recurse_on_is_refused_with_its_position() {
        for chain in ["+1", "|upper", ".x", " and a", "[0]", " if a else b", "not "] {
            for (open, close) in [("{{ \"}}\" ", " }}"), ("{% if a", " %}{% endif %}")] {
                let text = format!("x{open}{}{close}", chain.repeat(5_200));
                let (at, error) = check(&text).unwrap_err();
                assert_eq!(
                    (at, error.to_string().as_str()),
                    (1, "an expression has more than 100 operators"),
                    "{chain}"
                );
            }
        }
        let elif = format!("{{% if a %}}{}{{% endif %}}", "{%- elif b %}".repeat(5_000));
        assert_eq!(check(&elif).unwrap_err().1.to_string(), "the template has more than 50 elif");
        assert!(check(&"{{ a }}".repeat(5_000)).is_err() && check(&"x".repeat(300 << 10)).is_err());
    }
}
