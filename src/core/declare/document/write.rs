//! Writes a value as YAML, for manifests from a form and for showing config.

use serde_json::Value;

/// Writes one document, which parses back to the same value.
pub(crate) fn write(value: &Value) -> String {
    // Every JSON value can be written as YAML; as a fallback, JSON is YAML too.
    serde_yaml::to_string(value).unwrap_or_else(|_| format!("{value}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::declare::document::read;

    #[test]
    fn a_written_value_parses_back_to_itself() {
        let tricky = [
            "yes",
            "no",
            "~",
            "null",
            "1",
            "0x1f",
            "007",
            "1e3",
            "12:30",
            "a: b",
            "- a",
            "# c",
            "{a}",
            "\"q\"",
            "it's",
            "a\nb\n",
            "",
            " x ",
            "\u{e4}\u{2028}",
            "*a",
            "&a",
            "!t",
            "%d",
            "@x",
            "`x",
            "true",
            "---",
            "<script>",
            "a\tb",
            "trailing\n\n",
            ".5",
            "2026-11-24",
        ];
        let value = json!({"texts": tricky, "n": 1, "f": 0.5, "b": true, "empty": {}, "none": [], "deep": {"a": [{"b": [1, 2]}]},
            "yes": "key", "1": "key", "a b": "key", "nothing": null});
        let text = write(&value);
        let (documents, problems) = read("x.yaml", text.as_bytes());
        assert_eq!(problems, [], "{text}");
        assert_eq!(documents[0].root.to_json(), value, "{text}");
    }
}
