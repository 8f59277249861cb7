//! Builds the workspace's programs, for the tasks that start them.

use std::error::Error;
use std::path::PathBuf;

use serde_json::Value;

use crate::run;

/// How to build.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Like the tests. `cargo run --package` selects fewer features of the shared crates, and would
    /// build most of them a second time.
    Test,
    /// As users run it.
    Release,
}

impl Profile {
    fn argument(self) -> &'static str {
        match self {
            Self::Test => "--all-targets",
            Self::Release => "--release",
        }
    }
}

/// Builds the workspace and returns the paths of the programs of these names.
pub(crate) fn programs<const N: usize>(
    profile: Profile,
    names: [&str; N],
) -> Result<[PathBuf; N], Box<dyn Error>> {
    let messages = run::output(&mut run::cargo([
        "build",
        profile.argument(),
        "--workspace",
        "--all-features",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]))?;
    let mut paths = names.map(|_| PathBuf::new());
    for (path, name) in paths.iter_mut().zip(names) {
        *path = executable(&messages, name).ok_or_else(|| format!("cargo built no {name}"))?;
    }
    Ok(paths)
}

/// The path of the program of this name, from cargo's JSON messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        let wanted = target["name"] == name
            && target["kind"][0] == "bin"
            && message["profile"]["test"] == false;
        message["executable"].as_str().filter(|_| wanted).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_and_not_its_tests() {
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
