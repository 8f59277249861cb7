//! `cargo xtask openapi`: writes the committed `OpenAPI` document, or checks it.

mod reference;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

use crate::run::{self, RunError};

const DOCUMENT: &str = "docs/openapi.json";

/// The page that holds a reference made from the document.
const PAGE: &str = "docs/api.md";

pub(crate) fn perform(check: bool) -> Result<(), Box<dyn Error>> {
    let document = document(&build_program("roots-server")?)?;
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

/// Builds the workspace and returns the path of the binary of that name.
pub(crate) fn build_program(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    // Built like the tests. `cargo run --package` selects fewer features of the shared crates, and
    // would build most of them a second time.
    let messages = run::output(&mut run::cargo([
        "build",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]))?;
    Ok(executable(&messages, name).ok_or_else(|| format!("cargo built no {name}"))?)
}

/// The path of the binary of this name, from cargo's JSON messages.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        let wanted = target["name"] == name
            && target["kind"][0] == "bin"
            && message["profile"]["test"] == false;
        message["executable"].as_str().filter(|_| wanted).map(PathBuf::from)
    })
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

    #[test]
    fn the_binary_is_found_and_not_its_tests() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"roots_http"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"roots-server"},"profile":{"test":true},"executable":"/target/debug/deps/roots_server-1"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"roots-server"},"profile":{"test":false},"executable":"/target/debug/roots-server"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, "roots-server"),
            Some(PathBuf::from("/target/debug/roots-server"))
        );
        assert_eq!(executable(messages, "roots-cli"), None);
    }
}
