//! Removes secret values from text. Knows how programs write a value: plain, escaped, encoded, line by line, cut in two.
//! Does not know which values there are; reports a value that is too short to be found.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, engine::general_purpose};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

/// A shorter value cannot be told from other text: no text is safe with it.
const SHORTEST: usize = 4;
/// Shorter encodings of part of a value would match ordinary words.
const SHORTEST_ENCODED: usize = 6;
/// The length from which a word inside a longer value is searched for on its own: a key in a JSON file.
const WORD_LENGTH: usize = 16;
/// A text of this length that appears inside a value is a piece of it.
const PIECE_LENGTH: usize = 8;

/// Finds secret values in texts and replaces them with their names.
pub(crate) struct Redactor {
    forms: Vec<(Zeroizing<String>, usize)>,
    names: Vec<String>,
    finder: Option<AhoCorasick>,
    too_short: Option<String>,
}

impl Redactor {
    /// For pairs of replacement and value: `[secret API_KEY]`.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a SecretString)>) -> Self {
        let (mut forms, mut names, mut too_short) = (Vec::new(), Vec::new(), None);
        for (name, value) in values {
            let value = value.expose_secret();
            if value.trim().chars().count() < SHORTEST {
                too_short.get_or_insert_with(|| name.to_owned());
                continue;
            }
            forms.extend(all_forms(value).into_iter().map(|form| (Zeroizing::new(form), names.len())));
            names.push(name.to_owned());
        }
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(forms.iter().map(|(form, _)| form.as_bytes()));
        // Too many values for one automaton: no text is safe.
        let too_short = too_short.or_else(|| finder.is_err().then(|| "one of many".to_owned()));
        Self { forms, names, finder: finder.ok(), too_short }
    }

    /// The name of a value that is too short to be found, if there is one: no text is safe to keep then.
    pub(crate) fn too_short(&self) -> Option<&str> {
        self.too_short.as_deref()
    }

    /// The text with names in place of values. It may have been cut off inside a value, at its start or its end: the
    /// remaining piece is found too.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        if let Some(finder) = &self.finder {
            found.extend(finder.find_overlapping_iter(text).map(|hit| (hit.range(), self.forms[hit.pattern()].1)));
        }
        let (whole, before) = (text.trim(), text.len() - text.trim_start().len());
        for (form, name) in &self.forms {
            if whole.len() >= PIECE_LENGTH && form.contains(whole) {
                found.push((before..before + whole.len(), *name));
            }
            found.extend(cut_at_start(text, form).map(|end| (0..end, *name)));
            found.extend(cut_at_end(text, form).map(|start| (start..text.len(), *name)));
        }
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
        for (range, name) in found {
            if range.start >= done {
                clean.push_str(text.get(done..range.start).unwrap_or_default());
                clean.push_str(&self.names[name]);
            }
            done = done.max(range.end);
        }
        clean.push_str(text.get(done..).unwrap_or_default());
        clean
    }
}

/// Where the tail of a form ends that the text begins with.
fn cut_at_start(text: &str, form: &str) -> Option<usize> {
    let starts = form.char_indices().map(|(at, _)| at).skip(1);
    starts
        .map(|at| &form[at..])
        .take_while(|tail| tail.len() >= SHORTEST)
        .find(|tail| text.starts_with(tail))
        .map(str::len)
}

/// Where the head of a form begins that the text ends with.
fn cut_at_end(text: &str, form: &str) -> Option<usize> {
    let ends = form.char_indices().map(|(at, _)| at).rev();
    let head = ends.map(|at| &form[..at]).take_while(|head| head.len() >= SHORTEST).find(|head| text.ends_with(head));
    head.map(|head| text.len() - head.len())
}

/// Every form in which programs write a value.
fn all_forms(value: &str) -> Vec<String> {
    let mut forms: Vec<String> = encoded(value).into_iter().filter(|form| form.len() >= SHORTEST_ENCODED).collect();
    // Logs have lines, and so have keys; a settings file has the key as a word on one of its lines.
    let lines = value.lines().map(str::trim).filter(|line| line.chars().count() >= SHORTEST);
    let unescaped = value.replace("\\n", "\n");
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || "+/=_-".contains(c));
    let words = unescaped.split(is_end).filter(|word| word.len() >= WORD_LENGTH);
    for part in lines.chain(words) {
        forms.push(part.to_owned());
        forms.extend(escaped(part));
    }
    forms.push(value.to_owned());
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// As programs quote what they print.
fn escaped(part: &str) -> [String; 6] {
    let json = serde_json::Value::from(part).to_string();
    let json = json.trim_matches('"').to_owned();
    [
        part.escape_debug().to_string(),
        part.escape_default().to_string(),
        json.replace('/', "\\/"),
        json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"),
        json,
        part.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
    ]
}

/// RFC 3986: everything but unreserved characters is encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As JavaScript's `encodeURIComponent` does.
const URI_COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// As in paths, with slashes kept.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Encodings used by URLs, headers and dumps.
fn encoded(value: &str) -> Vec<String> {
    let percent = |set: &'static AsciiSet| utf8_percent_encode(value, set).to_string();
    let mut forms = vec![
        percent(UNRESERVED),
        percent(URI_COMPONENT),
        form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        percent(PATH),
    ];
    forms.push(hex::encode(value));
    // Inside a longer text, like `user:password`, its base64 begins at one of three offsets; the digits it shares with
    // its neighbors are left out.
    for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[0; 2][..before], value.as_bytes()].concat();
        let whole = bytes.len() * 8 / 6;
        for alphabet in [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD] {
            let digits = Zeroizing::new(alphabet.encode(&bytes));
            forms.extend(digits.get(shared..whole).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(value: &str, text: &str) -> String {
        let value = SecretString::from(value);
        Redactor::new([("[secret KEY]", &value)]).clean(text)
    }

    #[test]
    fn a_value_is_found_plain_escaped_and_line_by_line() {
        assert_eq!(clean("sk-123456", "using sk-123456, ok"), "using [secret KEY], ok");
        let pem = "first-line\nsecond\"line\n";
        assert_eq!(clean(pem, r#"bad: "first-line\nsecond\"line""#), r#"bad: "[secret KEY]\n[secret KEY]""#);
        assert_eq!(clean(pem, "  first-line"), "  [secret KEY]");
        assert_eq!(
            clean("a/b&c-secret", r#"{"k":"a\/b&c-secret"} a/b\u0026c-secret a/b&amp;c-secret"#)
                .matches("[secret KEY]")
                .count(),
            3
        );
        assert_eq!(clean("pin1", "xpin1x"), "x[secret KEY]x", "also a short one, also inside a word");
    }

    #[test]
    fn a_value_is_found_in_urls_and_in_base64_wherever_it_begins() {
        let value = "s3cr3t/+ value?";
        for form in ["s3cr3t%2F%2B%20value%3F", "s3cr3t%2f%2b+value%3f", "733363723374"] {
            assert!(clean(value, form).contains("[secret KEY]"), "{form}");
        }
        for before in ["", "u", "us", "user:", "me:"] {
            for after in ["", "!", "&x"] {
                let text = general_purpose::STANDARD.encode(format!("{before}{value}{after}"));
                let clean = clean(value, &format!("Authorization: Basic {text}"));
                assert!(clean.contains("[secret KEY]"), "{text} → {clean}");
                let left = clean.replace("[secret KEY]", "").replace("Authorization: Basic ", "");
                assert!(left.len() <= before.len() * 2 + after.len() * 2 + 6, "{text} → {clean}");
            }
        }
    }

    #[test]
    fn a_value_that_was_cut_in_two_is_found_in_both_halves() {
        let value = "sk-0123456789abcdef";
        for cut in 4..value.len() - 4 {
            let (head, tail) = value.split_at(cut);
            assert_eq!(clean(value, &format!("key {head}")), "key [secret KEY]");
            assert_eq!(clean(value, &format!("{tail} end")), "[secret KEY] end");
        }
        assert_eq!(clean(value, "3456789abc"), "[secret KEY]", "and in a piece out of its middle");
    }

    #[test]
    fn values_that_overlap_or_hold_each_other_leave_nothing() {
        let (one, two) = (SecretString::from("abcdef"), SecretString::from("defghijkl"));
        let both = Redactor::new([("[one]", &one), ("[two]", &two)]);
        assert_eq!(both.clean("x abcdefghijkl y"), "x [one] y");
        let inner = SecretString::from("secret");
        assert_eq!(Redactor::new([("[secret A]", &inner)]).clean("my secret"), "my [secret A]");
    }

    #[test]
    fn a_key_inside_a_json_file_is_found_by_itself() {
        let file =
            "{\n  \"type\": \"account\",\n  \"private_key\": \"-----BEGIN-----\\nMIIEvQIBADANBgkqhkiG9w0\\n\"\n}\n";
        assert_eq!(clean(file, "MIIEvQIBADANBgkqhkiG9w0"), "[secret KEY]");
        assert_eq!(clean(file, "}"), "}");
    }

    #[test]
    fn a_value_too_short_to_be_found_is_named() {
        let (short, fine) = (SecretString::from("ab\n"), SecretString::from("abcd"));
        assert_eq!(Redactor::new([("[secret A]", &fine), ("[secret B]", &short)]).too_short(), Some("[secret B]"));
        assert_eq!(Redactor::new([("[secret A]", &fine)]).too_short(), None);
    }
}
