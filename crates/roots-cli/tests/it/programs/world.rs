//! A user with a project, and programs that run the command in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::program::User;

/// A user whose project is a Git work tree.
pub(crate) struct World {
    user: User,
    project: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut user = User::new();
        let project = user.folder.clone();
        for name in [".git", "src"] {
            fs::create_dir(project.join(name)).unwrap();
        }
        user.folder = project.join("src");
        Self { user, project }
    }

    pub(crate) fn home(&self) -> &Path {
        self.user.home()
    }

    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// The command, in a folder within the project, without a server or a key.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        self.user.command(arguments)
    }

    /// The command with a server and a key.
    pub(crate) fn roots(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("ROOTS_URL", url).env("ROOTS_API_KEY", "roots_test");
        command
    }
}

/// Runs a command with this input to its end.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
