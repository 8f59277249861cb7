//! `cargo xtask openapi`: writes the committed `OpenAPI` document, or checks it.

mod reference;

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::built::{self, Profile};
use crate::run::{self, RunError};

const DOCUMENT: &str = "docs/openapi.json";

/// The page that holds a reference made from the document.
const PAGE: &str = "docs/api.md";

pub(crate) fn perform(check: bool) -> Result<(), Box<dyn Error>> {
    let [server] = built::programs(Profile::Test, ["roots-server"])?;
    let document = document(&server)?;
    let page = fs::read_to_string(run::workspace().join(PAGE))?;
    let page = reference::renew(&page, &document)?;
    for (name, text) in [(DOCUMENT, document), (PAGE, page)] {
        keep(name, &text, check)?;
    }
    Ok(())
}

/// Writes the file, or compares it with what was committed.
fn keep(name: &str, text: &str, check: bool) -> Result<(), Box<dyn Error>> {
    let path = run::workspace().join(name);
    if !check {
        fs::write(&path, text)?;
        println!("wrote {name}");
        return Ok(());
    }
    let committed = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    match first_difference(&committed, text) {
        None => Ok(()),
        Some(line) => Err(format!(
            "line {line} of {name} differs from what the code says; run `cargo xtask openapi` and commit {name}"
        )
        .into()),
    }
}

/// Runs `roots-server openapi` and returns the document.
pub(crate) fn document(server: &Path) -> Result<String, RunError> {
    let mut document = run::output(Command::new(server).arg("openapi"))?;
    if !document.ends_with('\n') {
        document.push('\n');
    }
    Ok(document)
}

/// The number of the first line that differs.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    if one == other {
        return None;
    }
    let same = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_found() {
        assert_eq!(first_difference("{\n}\n", "{\n}\n"), None);
        assert_eq!(first_difference("{\n \"a\": 1\n}\n", "{\n \"a\": 2\n}\n"), Some(2));
        assert_eq!(first_difference("{\n}\n", "{\n}\nmore\n"), Some(3));
        assert_eq!(first_difference("", "{}\n"), Some(1));
        assert_eq!(first_difference("{}", "{}\n"), Some(2));
    }
}
