//! Texts of other people, made safe to print.

/// The text without characters that are not seen. Line breaks and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if !is_hidden(c) || matches!(c, '\n' | '\t') { c } else { '\u{fffd}' };
    text.chars().map(shown).collect()
}

/// The text on one line, without characters that are not seen.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(['\n', '\r', '\t']).map(str::trim).filter(|part| !part.is_empty());
    printable(&words.collect::<Vec<_>>().join(" "))
}

/// Whether the character changes or hides what a person would see of the text: a control character,
/// a separator of lines, a mark of direction, or one of no width. Joiners stay, since scripts and
/// emoji need them.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0e}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_can_not_control_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\td"), "a\u{fffd}[2Jb\nc\td");
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
        for hidden in ['\u{9b}', '\u{200b}', '\u{2028}', '\u{2066}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(printable(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
        let family = "\u{1f468}\u{200d}\u{1f469} e\u{301}";
        assert_eq!(printable(family), family);
        assert_eq!(one_line(" a\r\n\n b\u{7}"), "a b\u{fffd}");
    }
}
