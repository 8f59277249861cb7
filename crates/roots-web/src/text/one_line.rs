//! Short texts on one line.

use std::borrow::Cow;

use maud::{Markup, html};

/// What shows in place of a short text in which nothing shows: a link needs a name.
const BLANK: &str = "(blank)";

/// A short text on one line, such as a title or a name.
pub(crate) fn line(text: &str) -> Markup {
    html! { bdi { (balanced(shown_or_blank(text))) } }
}

/// The text itself, or a stand-in if nothing in it shows.
pub(crate) fn shown_or_blank(text: &str) -> &str {
    if text.chars().any(is_visible) { text } else { BLANK }
}

/// The same in a sentence that is no HTML yet.
pub(crate) fn isolated(text: &str) -> String {
    format!("\u{2068}{}\u{2069}", balanced(text))
}

/// A text whose isolates of direction are closed in it. Browsers write the bounds of a `bdi` as
/// such characters, so one that is left open here, or closed too often, would reach the words
/// around it (UAX 9, BD9).
fn balanced(text: &str) -> Cow<'_, str> {
    const OPENING: [char; 3] = ['\u{2066}', '\u{2067}', '\u{2068}'];
    const CLOSING: char = '\u{2069}';
    // These end a paragraph, and so whatever is open in it.
    let ends = |it: char| matches!(it, '\u{2029}' | '\u{85}' | '\u{1c}'..='\u{1e}');
    if !text.contains(|it: char| it == CLOSING || OPENING.contains(&it) || ends(it)) {
        return Cow::Borrowed(text);
    }
    let mut open = 0_usize;
    let mut kept: String = text
        .chars()
        .map(|it| if ends(it) { ' ' } else { it })
        .filter(|it| {
            if OPENING.contains(it) {
                open += 1;
            } else if *it == CLOSING {
                let closes = open > 0;
                open = open.saturating_sub(1);
                return closes;
            }
            true
        })
        .collect();
    kept.extend(std::iter::repeat_n(CLOSING, open));
    Cow::Owned(kept)
}

/// The beginning of a text on one line, cut after so many characters.
pub(crate) fn start_of(text: &str, chars: usize) -> Markup {
    let first = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match first.char_indices().nth(chars) {
        Some((end, _)) => html! { bdi { (balanced(&first[..end])) "…" } },
        None => line(&first),
    }
}

/// Whether a character shows by itself: no blank, and none that only joins or turns others.
pub(super) fn is_visible(char: char) -> bool {
    !char.is_whitespace()
        && !char.is_control()
        && !matches!(char, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2800}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolates_of_direction_are_closed_within_their_text() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\u{202e}abc \u{2067}", "\u{202e}abc \u{2067}\u{2069}"),
            ("a\u{2069}b", "ab"),
            ("a\u{2029}b", "a b"),
            ("\u{2066}a\u{2069}\u{2069}b\u{2068}", "\u{2066}a\u{2069}b\u{2068}\u{2069}"),
        ] {
            assert_eq!(line(text).into_string(), format!("<bdi>{shown}</bdi>"));
        }
        assert_eq!(start_of("\u{2067}abc", 2).into_string(), "<bdi>\u{2067}a\u{2069}…</bdi>");
    }

    #[test]
    fn a_line_is_isolated_and_its_start_is_cut() {
        assert_eq!(line("<a>\u{202e}").into_string(), "<bdi>&lt;a&gt;\u{202e}</bdi>");
        assert_eq!(start_of("ab  c\nd", 4).into_string(), "<bdi>ab c…</bdi>");
        assert_eq!(start_of("ab", 4).into_string(), "<bdi>ab</bdi>");
    }
}
