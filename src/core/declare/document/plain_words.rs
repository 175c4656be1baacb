//! Explains the YAML parser's messages in plain words, with what to do. An unknown message is passed on unchanged.

/// Part of a parser's message, its explanation, and what to do.
const EXPLANATIONS: [(&str, &str, &str); 12] = [
    (
        "did not find expected key",
        "this line's indentation does not match the lines above",
        "start all keys of a mapping in the same column",
    ),
    (
        "mapping values are not allowed",
        "a key is not allowed here",
        "either the line above already has a value, or a text with \": \" in it needs quotes",
    ),
    ("tabs disallowed", "a tab is used for indentation", "replace the tab with two spaces"),
    (
        "did not find expected ',' or '}'",
        "a comma or } is missing before this",
        "separate entries with commas; put a text with : , { } [ or ] in it in quotes",
    ),
    (
        "did not find expected ',' or ']'",
        "a comma or ] is missing before this",
        "separate entries with commas; put a text with : , { } [ or ] in it in quotes",
    ),
    ("unclosed bracket", "this bracket is never closed", "close it, with } for { and ] for ["),
    ("unclosed quote", "this quote is never closed", "close it with the same kind of quote"),
    (
        "unknown anchor",
        "a value that starts with * refers to an anchor, but there is no such anchor",
        "put the value in quotes if it is a text",
    ),
    ("unexpected character", "a value cannot start with this character", "put the value in quotes"),
    (
        "budget breached: Nodes",
        "the document is too large with its aliases expanded",
        "use fewer aliases (*name), or split the document",
    ),
    ("budget breached", "the document exceeds the limits of a manifest", "use fewer aliases and less nesting"),
    ("recursion limit exceeded", "the document is nested too deep", "use at most 32 levels"),
];

/// The explanation of a message, and what to do.
pub(crate) fn of(message: &str) -> (String, Option<String>) {
    if let Some(key) = message.split("duplicate mapping key: ").nth(1) {
        let key = key.split(", set ").next().unwrap_or(key);
        return (format!("duplicate key: {key:?} is already set above"), Some("remove one of the two".into()));
    }
    match EXPLANATIONS.iter().find(|(part, ..)| message.contains(part)) {
        Some((_, what, hint)) => ((*what).into(), Some((*hint).into())),
        None => (message.split(" at line ").next().unwrap_or(message).trim().to_owned(), None),
    }
}
