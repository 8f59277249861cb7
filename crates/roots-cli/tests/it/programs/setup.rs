//! Setting up programs.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use super::world::{World, run, text};

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.project().join(name)).unwrap()
}

#[test]
fn a_setup_is_made_checked_and_taken_back() {
    let world = World::new();
    fs::write(world.project().join("CLAUDE.md"), "Mine.\n").unwrap();
    let check = || run(&mut world.bare(&["setup", "claude", "--check"]), "");

    let output = check();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    for name in ["missing in ", ".claude/settings.json", ".mcp.json", "CLAUDE.md"] {
        assert!(told.contains(name), "{told}");
    }
    assert!(text(&output.stderr).contains("`roots setup claude`"), "{}", text(&output.stderr));

    let output = run(&mut world.bare(&["setup", "claude", "--yes"]), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("+<!-- roots:begin -->"), "the difference is shown");
    assert_eq!(check().status.code(), Some(0));
    let settings: Value = serde_json::from_str(&read(&world, ".claude/settings.json")).unwrap();
    let command = &settings["hooks"]["SessionStart"][0]["hooks"][0]["command"];
    assert!(command.as_str().unwrap().contains("roots hook"), "{command}");

    let once = read(&world, "CLAUDE.md");
    let output = run(&mut world.bare(&["setup", "claude", "--yes"]), "");
    assert_eq!(text(&output.stdout), "Nothing to change.\n");
    assert_eq!(read(&world, "CLAUDE.md"), once);

    let output = run(&mut world.bare(&["setup", "claude", "--remove", "--yes"]), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(read(&world, "CLAUDE.md"), "Mine.\n");
    assert!(!world.project().join(".claude").exists());
    assert!(!world.project().join(".mcp.json").exists());
}

/// The commands of hooks in a file.
fn commands(settings: &Value, found: &mut Vec<String>) {
    match settings {
        Value::Object(members) => {
            found.extend(members.get("command").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| commands(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| commands(value, found)),
        _ => {}
    }
}

#[test]
fn a_hook_does_nothing_on_a_machine_without_roots() {
    let world = World::new();
    let files = [
        ("claude", ".claude/settings.json"),
        ("codex", ".codex/hooks.json"),
        ("gemini", ".gemini/settings.json"),
        ("cursor", ".cursor/hooks.json"),
    ];
    for (program, name) in files {
        run(&mut world.bare(&["setup", program, "--yes"]), "");
        let settings: Value = serde_json::from_str(&read(&world, name)).unwrap();
        let mut found = Vec::new();
        commands(&settings["hooks"], &mut found);
        assert_eq!(found.len(), 2, "{found:?}");
        for command in found {
            let shell = |path: &str| {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &command]).env_clear().env("PATH", path).output().unwrap()
            };
            let output = shell("/nowhere");
            assert_eq!(output.status.code(), Some(0), "{command}");
            assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0), "{command}");
            // It runs, and a failure does not harm the program either.
            for (program, told) in [("/bin/echo", "hook\n"), ("/bin/false", "")] {
                let folder = tempfile::tempdir().unwrap();
                symlink(program, folder.path().join("roots")).unwrap();
                let output = shell(&folder.path().display().to_string());
                assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), told.into()));
            }
        }
    }
}

#[test]
fn the_difference_can_not_control_the_terminal() {
    let world = World::new();
    let hostile = "a\u{1b}[2J\u{9b}2Jb\u{202e}\u{200b}\r\n";
    fs::write(world.project().join("CLAUDE.md"), hostile).unwrap();
    let output = run(&mut world.bare(&["setup", "claude", "--yes"]), "");
    let told = text(&output.stderr);
    assert!(told.contains("+<!-- roots:begin -->"), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\r']), "{told:?}");
    assert!(read(&world, "CLAUDE.md").starts_with(hostile));
}

#[test]
fn nothing_is_written_without_consent() {
    let world = World::new();
    let output = run(&mut world.bare(&["setup", "codex"]), "y\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--yes"), "{}", text(&output.stderr));
    assert!(!world.project().join(".codex").exists());
    assert!(!world.home().join(".codex").exists());
}

#[test]
fn the_user_s_files_are_in_the_home() {
    let world = World::new();
    for program in ["claude", "codex", "gemini", "cursor"] {
        let output = run(&mut world.bare(&["setup", program, "--user", "--yes"]), "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    for name in [
        ".claude/settings.json",
        ".claude.json",
        ".codex/config.toml",
        ".gemini/settings.json",
        ".cursor/mcp.json",
    ] {
        assert!(world.home().join(name).exists(), "{name}");
    }
    let project: Vec<_> = fs::read_dir(world.project()).unwrap().flatten().collect();
    assert_eq!(project.len(), 2, "{project:?}");
    let output = run(&mut world.bare(&["setup", "agents-md", "--user", "--yes"]), "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let world = World::new();
    fs::write(world.project().join(".mcp.json"), "{ nope").unwrap();
    let output = run(&mut world.bare(&["setup", "claude", "--yes"]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(".mcp.json"), "{}", text(&output.stderr));
    assert_eq!(read(&world, ".mcp.json"), "{ nope");
    assert!(!world.project().join(".claude").exists());
}

#[test]
fn json_names_the_files() {
    let world = World::new();
    let output = run(&mut world.bare(&["setup", "agents-md", "--yes", "--json"]), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["written"], true);
    assert_eq!(report["files"][0]["state"], "missing");
    assert!(report["files"][0]["path"].as_str().unwrap().ends_with("/AGENTS.md"));
}

#[test]
fn the_help_of_what_programs_run() {
    let world = World::new();
    let pages: String = ["setup", "hook", "mcp"]
        .iter()
        .map(|command| {
            let output = run(&mut world.bare(&[command, "--help"]), "");
            ["$ roots ", command, " --help\n", &text(&output.stdout), "\n"].concat()
        })
        .collect();
    insta::assert_snapshot!(pages);
}
