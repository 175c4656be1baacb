//! Text from outside, made fit to be shown on one line: without characters that move a terminal's cursor, hide or reorder
//! what stands around them, and cut to a length. Knows neither terminals nor pages.

/// Whether a character changes how the text around it is shown, instead of being shown itself.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || is_override(c)
        || matches!(
            c,
            // The zero-width space, direction marks, line and paragraph separators.
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            // Word joiner, invisible operators, byte-order mark, and invisible copies of ASCII.
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a character makes the text after it run in another direction.
pub(crate) fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text on one line: invisible characters are replaced, and what is longer than `most` characters is cut.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(most).map(visible).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        c if is_invisible(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_reorders_a_line_is_shown() {
        for c in ['\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{7}', '\u{feff}', '\u{e0041}', '\u{200f}'] {
            assert_eq!(line(&format!("a{c}b"), 10), "a\u{fffd}b", "{c:?}");
        }
        assert_eq!(line("two\nlines\té 👩\u{200d}🚀", 99), "two lines é 👩\u{200d}🚀");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(line(&"é".repeat(500), 3), "ééé…");
        assert_eq!(line("ééé", 3), "ééé");
    }
}
