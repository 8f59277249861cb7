//! Texts of other people, made safe to print.

/// The text without control characters, which could change the terminal. Line breaks and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if is_printable(c) || matches!(c, '\n' | '\t') { c } else { '\u{fffd}' };
    text.chars().map(shown).collect()
}

/// The text on one line, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(['\n', '\r', '\t']).map(str::trim).filter(|part| !part.is_empty());
    printable(&words.collect::<Vec<_>>().join(" "))
}

/// Neither a control character nor one that changes the direction of the text after it.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_can_not_control_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\td"), "a\u{fffd}[2Jb\nc\td");
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(one_line(" a\r\n\n b\u{7}"), "a b\u{fffd}");
    }
}
