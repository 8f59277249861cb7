//! Checks the prose of comments and pages: lines have at most 100 columns, and no sentence has
//! "who" as its subject.

use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

use super::files::files;

/// The widest line of a comment or a page, in characters.
const WIDTH_MAX: usize = 100;
/// The word that no file may have. It is written in two parts, because this file is checked too.
const BANNED: &str = concat!("who", "ever");
/// Words that begin only questions.
const QUESTION_WORDS: [&str; 3] = ["Who", "Whom", "Whose"];

/// Checks the sources of all crates and all pages.
pub(super) fn check(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    for folder in ["crates", "docs", "migrations", "xtask"] {
        paths.extend(files(&root.join(folder))?);
    }
    let mut found = Vec::new();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        let shown = path.strip_prefix(root).unwrap_or(&path);
        match path.extension().and_then(OsStr::to_str) {
            Some("rs") => found.extend(check_source(shown, &fs::read_to_string(&path)?)),
            Some("md") => found.extend(check_page(shown, &fs::read_to_string(&path)?)),
            _ => {}
        }
    }
    Ok(found)
}

fn check_source(path: &Path, source: &str) -> Vec<String> {
    let comments = lines(source).filter_map(|line| {
        let text = line.text.trim_start();
        let text = ["///", "//!", "//"].iter().find_map(|marker| text.strip_prefix(marker))?;
        let lead = &line.text[..line.text.len() - text.len()];
        let text = text.strip_prefix(' ').unwrap_or(text);
        Some(ProseLine { lead, text, ..line })
    });
    check_text(path, source, comments)
}

fn check_page(path: &Path, page: &str) -> Vec<String> {
    check_text(path, page, lines(page))
}

fn check_text<'a>(
    path: &Path,
    whole: &str,
    commented: impl Iterator<Item = ProseLine<'a>>,
) -> Vec<String> {
    let mut found: Vec<_> = lines(whole)
        .filter(|line| has_banned_word(line.text))
        .map(|line| (line.number, format!("\"{BANNED}\" is no subject: name the one who acts")))
        .collect();
    let prose = prose(commented);
    for line in prose.iter().filter(|line| line.width > WIDTH_MAX && line.is_breakable()) {
        let width = line.width;
        found.push((line.number, format!("{width} columns: wrap it at {WIDTH_MAX}")));
    }
    for number in wrong_questions(&prose) {
        let error = "a sentence begins with \"Who\" and is no question: name the one who acts";
        found.push((number, error.to_owned()));
    }
    found.sort();
    let shown = path.display();
    found.into_iter().map(|(number, error)| format!("{shown}:{number}: {error}")).collect()
}

/// A line of a comment or of a page.
struct ProseLine<'a> {
    /// Counted from 1.
    number: usize,
    /// The width of the whole line, in characters.
    width: usize,
    /// The indent and the marker of a comment.
    lead: &'a str,
    text: &'a str,
}

impl ProseLine<'_> {
    /// Whether the text has a blank at which it can be wrapped.
    fn is_breakable(&self) -> bool {
        let text = without_list_marker(self.text.trim());
        let start = self.width - text.chars().count();
        text.chars().position(|char| char == ' ').is_some_and(|at| start + at <= WIDTH_MAX)
    }

    /// Whether it continues the paragraph of the line before it.
    fn continues(&self, before: &Self) -> bool {
        let text = self.text.trim();
        self.number == before.number + 1
            && self.lead == before.lead
            && !text.is_empty()
            && without_list_marker(text).len() == text.len()
    }
}

fn lines(text: &str) -> impl Iterator<Item = ProseLine<'_>> {
    (1..).zip(text.lines()).map(|(number, text)| ProseLine {
        number,
        width: text.chars().count(),
        lead: "",
        text,
    })
}

/// The lines that are sentences: not code, tables, headings, HTML or link definitions.
fn prose<'a>(lines: impl Iterator<Item = ProseLine<'a>>) -> Vec<ProseLine<'a>> {
    let mut found = Vec::new();
    let mut fence: Option<ProseLine<'a>> = None;
    for line in lines {
        // A comment ends its block of code, even an open one.
        let is_fenced = fence
            .as_ref()
            .is_some_and(|fence| line.number == fence.number + 1 && line.lead == fence.lead);
        if line.text.trim_start().starts_with("```") {
            fence = (!is_fenced).then_some(line);
        } else if is_fenced {
            fence = Some(line);
        } else if !is_markup(line.text) {
            fence = None;
            found.push(line);
        }
    }
    found
}

fn is_markup(text: &str) -> bool {
    text.starts_with("    ")
        || ["|", "#", "<"].iter().any(|start| text.trim_start().starts_with(start))
        || text.starts_with('[') && text.contains("]: ")
}

fn without_list_marker(text: &str) -> &str {
    let number = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let is_numbered = number.len() < text.len();
    let rest = if is_numbered { number.strip_prefix(". ") } else { text.strip_prefix("- ") };
    rest.or_else(|| text.strip_prefix("* ")).unwrap_or(text)
}

fn has_banned_word(text: &str) -> bool {
    text.split(|char: char| !char.is_alphanumeric() && char != '_')
        .any(|word| word.eq_ignore_ascii_case(BANNED))
}

/// The lines on which a sentence begins with "Who" that does not end with a question mark.
fn wrong_questions(prose: &[ProseLine<'_>]) -> Vec<usize> {
    let mut found = Vec::new();
    // The line of the question that is open, and whether the next word begins a sentence.
    let (mut open, mut begins) = (None, true);
    let before = std::iter::once(None).chain(prose.iter().map(Some));
    for (line, before) in prose.iter().zip(before) {
        if !before.is_some_and(|before| line.continues(before)) {
            found.extend(open.take());
            begins = true;
        }
        for word in without_list_marker(line.text.trim()).split_whitespace() {
            let word = word.trim_matches(['*', '_', '"', '(', ')', '`']);
            if begins && QUESTION_WORDS.contains(&word) {
                open = Some(line.number);
            }
            begins = word.ends_with(['.', '!', '?']);
            if begins {
                found.extend(open.take().filter(|_| !word.ends_with('?')));
            }
        }
    }
    found.extend(open);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of which a check complains.
    fn numbers(found: &[String]) -> Vec<usize> {
        let number = |line: &String| line.split(':').nth(1)?.parse().ok();
        found.iter().filter_map(number).collect()
    }

    fn of_source(source: &str) -> Vec<usize> {
        numbers(&check_source(Path::new("a.rs"), source))
    }

    fn of_page(page: &str) -> Vec<usize> {
        numbers(&check_page(Path::new("a.md"), page))
    }

    #[test]
    fn comments_are_at_most_100_columns_wide() {
        let wide = |lead: &str| format!("{lead}{} end\n", "word ".repeat(20));
        for lead in ["// ", "/// ", "    //! ", "/// - "] {
            assert_eq!(of_source(&wide(lead)), [1], "{lead}");
        }
        let just_fits = format!("// {} {}\n", "a".repeat(48), "ö".repeat(48));
        assert_eq!(of_source(&just_fits), [0; 0]);
        assert_eq!(of_source(&wide("let text = ")), [0; 0], "code is rustfmt's");
        assert_eq!(of_source(&format!("/// {}", "a".repeat(120))), [0; 0], "one word");
        assert_eq!(of_source(&format!("/// - {}", "a".repeat(120))), [0; 0], "one word of a list");
        assert_eq!(of_source(&format!("/// {} a", "a".repeat(120))), [0; 0], "one long word");
    }

    #[test]
    fn pages_are_at_most_100_columns_wide_except_markup() {
        let wide = "word ".repeat(21);
        assert_eq!(of_page(&format!("short\n{wide}\n\n- {wide}")), [2, 4]);
        for markup in ["| ", "# ", "<a> ", "    ", "[a]: "] {
            assert_eq!(of_page(&format!("{markup}{wide}")), [0; 0], "{markup}");
        }
        assert_eq!(of_page(&format!("```\n{wide}\n{wide}\n```\n{wide}")), [5]);
        assert_eq!(of_source(&format!("/// ```\n/// {wide}\nfn f() {{}}\n/// {wide}\n")), [4]);
        let link = format!("[a](https://example.org/{})", "a".repeat(100));
        assert_eq!(of_page(&link), [0; 0], "a link alone");
        assert_eq!(of_page(&format!("See {link}")), [1], "a link with a word before it");
    }

    #[test]
    fn the_banned_word_is_found_everywhere() {
        let mut word = BANNED.to_owned();
        for line in ["// {} asks", "let error = \"ask {}\";", "/// ({}'s)"] {
            assert_eq!(of_source(&line.replace("{}", &word)), [1], "{line}");
        }
        assert_eq!(of_page(&format!("```\n{word}\n```")), [2]);
        word.make_ascii_uppercase();
        assert_eq!(of_page(&word), [1]);
        assert_eq!(of_page(&format!("{word}s _{word}")), [0; 0], "other words");
    }

    #[test]
    fn sentences_that_begin_with_who_are_questions() {
        for wrong in [
            "/// Who asks.",
            "/// A caller. Whose it is",
            "/// Who may read,\n/// and what.",
            "/// - Who asks\n/// - Is this a question?",
            "// **Whom** it belongs to.",
        ] {
            assert_eq!(of_source(wrong).len(), 1, "{wrong}");
        }
        for right in [
            "/// Who asks?",
            "/// Who may\n/// read it, and when? Then it is read.",
            "/// The one who asks.",
            "type Who = (ActorId, Role);",
            "/// Whole numbers.",
        ] {
            assert_eq!(of_source(right), [0; 0], "{right}");
        }
        assert_eq!(of_page("A line.\nA second. Who reads\nit.\n\nWho does?"), [2]);
    }
}
