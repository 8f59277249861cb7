//! `cargo xtask openapi`: keeps the committed `OpenAPI` document true to the code.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

use crate::run;

const DOCUMENT: &str = "docs/openapi.json";

pub(crate) fn perform(check: bool) -> Result<(), Box<dyn Error>> {
    let document = document()?;
    let path = run::workspace().join(DOCUMENT);
    if !check {
        fs::write(&path, document)?;
        println!("wrote {DOCUMENT}");
        return Ok(());
    }
    let committed = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    match first_difference(&committed, &document) {
        None => Ok(()),
        Some(line) => Err(format!(
            "{DOCUMENT} is not what the code says, from line {line} on; run `cargo xtask openapi` and commit it"
        )
        .into()),
    }
}

/// What `roots-server openapi` prints.
fn document() -> Result<String, Box<dyn Error>> {
    // Built as the tests are, not by `cargo run --package`: that form selects fewer features of the shared crates and
    // would build most of them a second time.
    let messages = run::output(&mut run::cargo([
        "build",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]))?;
    let server = executable(&messages, "roots-server").ok_or("cargo built no roots-server")?;
    let mut document = run::output(Command::new(server).arg("openapi"))?;
    if !document.ends_with('\n') {
        document.push('\n');
    }
    Ok(document)
}

/// Where cargo, by its messages, has put the binary of this name.
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

/// The number of the first line in which the two differ.
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
    fn a_document_that_differs_is_found() {
        assert_eq!(first_difference("{\n}\n", "{\n}\n"), None);
        assert_eq!(first_difference("{\n \"a\": 1\n}\n", "{\n \"a\": 2\n}\n"), Some(2));
        assert_eq!(first_difference("{\n}\n", "{\n}\nmore\n"), Some(3));
        assert_eq!(first_difference("", "{}\n"), Some(1));
        assert_eq!(first_difference("{}", "{}\n"), Some(2));
    }

    #[test]
    fn the_binary_is_told_from_its_tests() {
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
