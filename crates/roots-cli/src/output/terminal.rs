//! The two streams, and the terminal that they may be.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

use super::text::printable;
use crate::error::CliError;

/// How the program writes.
#[derive(Debug)]
pub(crate) struct Output {
    /// The fields to select, if JSON is wanted. None selects all.
    json: Option<Vec<String>>,
}

impl Output {
    /// Text, or JSON with these fields. An empty name stands for all fields.
    pub(crate) fn new(json: Option<Vec<String>>) -> Self {
        let without_blanks = |fields: Vec<String>| {
            let fields = fields.into_iter().map(|field| field.trim().to_owned());
            fields.filter(|field| !field.is_empty()).collect()
        };
        Self { json: json.map(without_blanks) }
    }

    /// Whether JSON is wanted.
    pub(crate) const fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// The fields that JSON is to have; none stands for all.
    pub(super) fn selection(&self) -> &[String] {
        self.json.as_deref().unwrap_or_default()
    }

    /// Tells why a command is not done: as text, or as a problem on one line.
    pub(crate) fn report(&self, error: &CliError) {
        if matches!(error, CliError::OutputClosed) {
            return;
        }
        if self.is_json() {
            return tell(&harmless_json(&error.problem().to_string()));
        }
        let colours = if has_colour() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        let (start, end) = colours;
        let mut sentence = format!("{start}error:{end} {}", printable(&error.sentence()));
        if let Some(advice) = error.advice() {
            sentence.push('\n');
            sentence.push_str(advice);
        }
        tell(&sentence);
    }
}

/// Writes data, as a line of its own.
///
/// # Errors
///
/// [`CliError::OutputClosed`] if nobody reads it any more.
pub(crate) fn line(data: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(data.as_bytes())
        .and_then(|()| if data.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        .and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => CliError::OutputClosed,
        _ => CliError::Output(error),
    })
}

/// Tells something that is no data. If it can't be told, the work is done all the same.
pub(crate) fn tell(sentence: &str) {
    let _ = writeln!(io::stderr().lock(), "{sentence}");
}

/// A document: at a terminal indented and without characters that control it, or else on one line.
///
/// # Errors
///
/// If it has no form in JSON.
pub(super) fn json_text(document: &impl Serialize) -> serde_json::Result<String> {
    if shows_data() {
        serde_json::to_string_pretty(document).map(|json| harmless_json(&json))
    } else {
        serde_json::to_string(document)
    }
}

/// The same JSON, with escapes in place of the characters that could control a terminal. Its reader
/// gets the same texts.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut harmless = String::with_capacity(json.len());
    for c in json.chars() {
        if (c.is_ascii() && c != '\u{7f}') || is_harmless(c) {
            harmless.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            harmless.extend(["\\u", &format!("{unit:04x}")]);
        }
    }
    harmless
}

/// Whether the character is shown in texts as it is.
fn is_harmless(c: char) -> bool {
    let mut bytes = [0; 4];
    let c: &str = c.encode_utf8(&mut bytes);
    printable(c) == c
}

/// Whether standard output is a terminal.
pub(crate) fn shows_data() -> bool {
    io::stdout().is_terminal()
}

/// The columns of the terminal that data goes to.
pub(super) fn width() -> Option<u16> {
    terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns)
}

/// Whether standard error shows colours: it is a terminal, and `NO_COLOR` is not set.
fn has_colour() -> bool {
    let is_unset = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    is_unset && !is_dumb && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_at_a_terminal_has_the_same_texts_without_control_characters() {
        let document = json!({"a": "x\u{1b}[2J\u{7f}\u{9b}31m\u{202e}y\nä→🌱"});
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        let shown = harmless_json(&pretty);
        assert_eq!(shown, "{\n  \"a\": \"x\\u001b[2J\\u007f\\u009b31m\\u202ey\\nä→🌱\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), document);
    }
}
