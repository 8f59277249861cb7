//! Where a text comes from: the argument, standard input or the editor.

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::process::Command;

use tempfile::Builder;

use crate::error::CliError;

/// The text of an argument. `-` reads standard input. Without the argument, the editor opens with
/// `before` in it, if there is a terminal to edit at.
///
/// # Errors
///
/// If there is neither an argument nor a terminal, or the editor fails.
pub(crate) fn required(argument: Option<&str>, before: &str) -> Result<String, CliError> {
    match argument {
        Some(argument) => given(argument),
        None if has_terminal() => edited(before),
        None => Err(CliError::Usage(
            "no text was given: give it as an argument, or give `-` to read it from standard input"
                .to_owned(),
        )),
    }
}

/// The text of an argument. `-` reads standard input.
///
/// # Errors
///
/// If standard input is no text.
pub(crate) fn given(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).map_err(|source| CliError::System {
        what: "standard input is no text in UTF-8",
        source,
    })?;
    Ok(without_last_line_break(text))
}

/// The text of an argument that may be left out.
///
/// # Errors
///
/// See [`given`].
pub(crate) fn optional(argument: Option<&str>) -> Result<Option<String>, CliError> {
    argument.map(given).transpose()
}

/// What a person makes of `before` in `$VISUAL` or `$EDITOR`.
///
/// # Errors
///
/// If there is no editor, it fails, or it leaves no text.
pub(crate) fn edited(before: &str) -> Result<String, CliError> {
    let is_set = |name: &str| env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = is_set("VISUAL").or_else(|| is_set("EDITOR")).ok_or_else(|| {
        CliError::Usage(
            "no text was given, and no editor is set: give the text as an argument, or set EDITOR"
                .to_owned(),
        )
    })?;
    edited_with(&editor, before)
}

/// What an editor leaves of `before`. Its command may have arguments, as `code --wait` does.
fn edited_with(editor: &str, before: &str) -> Result<String, CliError> {
    let failed = |what| move |source| CliError::System { what, source };
    // The file can be read by its owner alone, and is deleted at the end.
    let mut file = Builder::new()
        .prefix("roots-")
        .suffix(".md")
        .tempfile()
        .map_err(failed("a file to edit can't be made"))?;
    let written = file.write_all(before.as_bytes()).and_then(|()| file.flush());
    written.map_err(failed("the file to edit can't be written"))?;
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file.path())
        .status()
        .map_err(failed("the editor can't be started"))?;
    if !status.success() {
        return Err(CliError::Failed("the editor failed, so nothing was done".to_owned()));
    }
    // Some editors replace the file, so it is opened anew.
    let text = std::fs::read_to_string(file.path())
        .map_err(failed("the edited file is no text in UTF-8"))?;
    let text = without_last_line_break(text);
    if text.trim().is_empty() {
        return Err(CliError::Usage("the text is empty, so nothing was done".to_owned()));
    }
    Ok(text)
}

/// Whether a person can be asked.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn without_last_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_gets_the_text_and_its_result_is_taken() {
        assert_eq!(edited_with("printf 'c\\n' >>", "a\nb\n").unwrap(), "a\nb\nc");
        let failed = edited_with("false", "a").unwrap_err();
        assert!(matches!(failed, CliError::Failed(_)), "{failed}");
        let empty = edited_with("printf '' >", "a").unwrap_err();
        assert!(matches!(empty, CliError::Usage(_)), "{empty}");
    }

    #[test]
    fn only_the_last_line_break_is_left_out() {
        for (text, kept) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")] {
            assert_eq!(without_last_line_break(text.to_owned()), kept);
        }
    }
}
