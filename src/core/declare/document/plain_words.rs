//! The YAML parser's messages in plain words, with what to do. A message that is not known is passed on as it is.

/// Part of a message, what to say instead, what to do.
const KNOWN: [(&str, &str, &str); 12] = [
    (
        "did not find expected key",
        "this line does not fit the indentation of the lines above",
        "keys of the same mapping begin in the same column",
    ),
    (
        "mapping values are not allowed",
        "a key is not possible here",
        "either the line above has a value already and nothing can be indented below it, or a text with \": \" in it lacks its quotes",
    ),
    (
        "tabs disallowed",
        "a tab is used for indentation",
        "YAML knows only blanks there: replace the tab by two of them",
    ),
    (
        "did not find expected ',' or '}'",
        "a comma or } is missing before this",
        "separate entries by commas; a text with : , { } [ or ] in it needs quotes",
    ),
    (
        "did not find expected ',' or ']'",
        "a comma or ] is missing before this",
        "separate entries by commas; a text with : , { } [ or ] in it needs quotes",
    ),
    ("unclosed bracket", "this bracket is never closed", "close it, with } for { and ] for ["),
    ("unclosed quote", "this quote is never closed", "close it with the same kind of quote"),
    (
        "unknown anchor",
        "a value that begins with * refers to an anchor, and there is none of that name",
        "put the value in quotes if it is a text",
    ),
    ("unexpected character", "a value cannot begin with this character", "put the value in quotes"),
    (
        "budget breached: Nodes",
        "the document is too large with its aliases filled in",
        "use fewer aliases (*name), or split it",
    ),
    (
        "budget breached",
        "the document uses more of YAML than a manifest may",
        "write it more simply: fewer aliases, less nesting",
    ),
    ("recursion limit exceeded", "the document nests too deep", "32 levels are the most"),
];

/// What to say in place of a message, and what to do.
pub(crate) fn of(message: &str) -> (String, Option<String>) {
    if let Some(key) = message.split("duplicate mapping key: ").nth(1) {
        let key = key.split(", set ").next().unwrap_or(key);
        return (format!("duplicate key: {key:?} is written above already"), Some("remove one of the two".into()));
    }
    match KNOWN.iter().find(|(part, ..)| message.contains(part)) {
        Some((_, what, hint)) => ((*what).into(), Some((*hint).into())),
        None => (message.split(" at line ").next().unwrap_or(message).trim().to_owned(), None),
    }
}
