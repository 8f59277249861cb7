//! Setting up programs.

use std::fs;

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
    assert_eq!(settings["hooks"]["SessionStart"][0]["hooks"][0]["command"], "roots hook");

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
            format!("$ roots {command} --help\n{}\n", text(&output.stdout))
        })
        .collect();
    insta::assert_snapshot!(pages);
}
