//! A section between two marks in a text file, of which setup owns what is between them.

/// How the marks of a section look in a kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The line before the section.
    begin: &'static str,
    /// The line after it.
    end: &'static str,
}

/// In Markdown.
pub(crate) const MARKDOWN: Marks =
    Marks { begin: "<!-- roots:begin -->", end: "<!-- roots:end -->" };
/// In TOML.
pub(crate) const TOML: Marks = Marks { begin: "# roots:begin", end: "# roots:end" };

/// The marks of a file are not what setup wrote.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lines `{begin}` and `{end}` don't each stand there once, in this order")]
pub(crate) struct BrokenMarks {
    begin: &'static str,
    end: &'static str,
}

/// The section of a text: from the begin of the first mark to the end of the second one's line.
struct Found {
    start: usize,
    end: usize,
    /// Whether a line break ends the last line. It is not part of the section.
    has_line_break: bool,
}

/// The text with this section: replaced in its place, or added at the end. `body` has no line break
/// at its end.
///
/// # Errors
///
/// [`BrokenMarks`]
pub(crate) fn with_section(text: &str, marks: Marks, body: &str) -> Result<String, BrokenMarks> {
    let line_break = line_break_of(text);
    let section = format!("{}\n{body}\n{}", marks.begin, marks.end).replace('\n', line_break);
    if let Some(found) = find(text, marks)? {
        return Ok([&text[..found.start], &section, &text[found.end..]].concat());
    }
    // The section's last line ends as the text did. `without_section` tells by it how many line
    // breaks to take away.
    Ok(if text.is_empty() {
        section
    } else if text.ends_with('\n') {
        [text, line_break, &section, line_break].concat()
    } else {
        [text, line_break, line_break, &section].concat()
    })
}

/// A new file with this section.
pub(crate) fn new_file(marks: Marks, header: &str, body: &str) -> String {
    format!("{header}{}\n{body}\n{}\n", marks.begin, marks.end)
}

/// The text without the section and the line break that came with it, or `None` if it has none.
///
/// # Errors
///
/// [`BrokenMarks`]
pub(crate) fn without_section(text: &str, marks: Marks) -> Result<Option<String>, BrokenMarks> {
    let Some(found) = find(text, marks)? else { return Ok(None) };
    let (before, after) = (&text[..found.start], &text[found.end..]);
    let before = without_line_break(before);
    if found.has_line_break {
        // A section in the middle has a line break before it and after it; one of them goes.
        let after = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'));
        return Ok(Some([before, after.unwrap_or_default()].concat()));
    }
    Ok(Some(without_line_break(before).to_owned()))
}

/// Finds the section.
fn find(text: &str, marks: Marks) -> Result<Option<Found>, BrokenMarks> {
    let broken = BrokenMarks { begin: marks.begin, end: marks.end };
    match (lines_of(text, marks.begin).as_slice(), lines_of(text, marks.end).as_slice()) {
        ([], []) => Ok(None),
        (&[(start, _)], &[(last, end)]) if start < last => {
            let has_line_break = text[end..].starts_with(['\r', '\n']);
            Ok(Some(Found { start, end, has_line_break }))
        }
        _ => Err(broken),
    }
}

/// Where the lines are that are `line`, without their line breaks.
fn lines_of(text: &str, line: &str) -> Vec<(usize, usize)> {
    let mut start = 0;
    let mut found = Vec::new();
    for piece in text.split_inclusive('\n') {
        if piece.trim_end_matches('\n').trim_end_matches('\r') == line {
            found.push((start, start + line.len()));
        }
        start += piece.len();
    }
    found
}

/// What ends the first line, or `\n`.
pub(crate) fn line_break_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The text without one line break at its end.
fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_section_stands_at_the_end_after_an_empty_line() {
        let text = with_section("# Mine\n\nText.\n", MARKDOWN, "Roots.\nTwo.").unwrap();
        let expected =
            "# Mine\n\nText.\n\n<!-- roots:begin -->\nRoots.\nTwo.\n<!-- roots:end -->\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_old_section_is_replaced_where_it_stands() {
        let old = "a\n<!-- roots:begin -->\nold\n\nold\n<!-- roots:end -->\nb\n";
        let text = with_section(old, MARKDOWN, "new").unwrap();
        assert_eq!(text, "a\n<!-- roots:begin -->\nnew\n<!-- roots:end -->\nb\n");
        assert_eq!(with_section(&text, MARKDOWN, "new").unwrap(), text);
    }

    #[test]
    fn a_text_of_windows_keeps_its_line_breaks() {
        let text = with_section("a\r\nb\r\n", TOML, "x\ny").unwrap();
        assert_eq!(text, "a\r\nb\r\n\r\n# roots:begin\r\nx\r\ny\r\n# roots:end\r\n");
        assert_eq!(without_section(&text, TOML).unwrap().as_deref(), Some("a\r\nb\r\n"));
    }

    #[test]
    fn what_others_wrote_after_the_section_stays() {
        let text = with_section("a\n", TOML, "x").unwrap() + "\n[theirs]\n";
        assert_eq!(without_section(&text, TOML).unwrap().as_deref(), Some("a\n\n[theirs]\n"));
    }

    #[test]
    fn broken_marks_are_refused() {
        for text in [
            "<!-- roots:begin -->\nx\n",
            "x\n<!-- roots:end -->\n",
            "<!-- roots:end -->\n<!-- roots:begin -->\n",
            "<!-- roots:begin -->\n<!-- roots:begin -->\n<!-- roots:end -->\n",
        ] {
            assert!(with_section(text, MARKDOWN, "x").is_err(), "{text}");
            assert!(without_section(text, MARKDOWN).is_err(), "{text}");
        }
        // A mark within a line is none.
        assert_eq!(without_section("see `<!-- roots:begin -->`\n", MARKDOWN), Ok(None));
    }

    proptest! {
        #[test]
        fn removing_what_was_added_restores_each_byte(
            lines in proptest::collection::vec("[a-z#<\\-! ]{0,9}", 0..6),
            line_break in prop_oneof![Just("\n"), Just("\r\n")],
            ends in any::<bool>(),
        ) {
            let mut text = lines.join(line_break);
            if ends && !text.is_empty() {
                text.push_str(line_break);
            }
            for marks in [MARKDOWN, TOML] {
                let added = with_section(&text, marks, "one\ntwo").unwrap();
                prop_assert!(added.starts_with(&text));
                prop_assert_eq!(&with_section(&added, marks, "one\ntwo").unwrap(), &added);
                let removed = without_section(&added, marks).unwrap();
                prop_assert_eq!(removed, Some(text.clone()));
            }
        }
    }
}
