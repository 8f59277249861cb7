//! What `docs/agents.md` says to paste and to type.

use std::fs;

use serde_json::Value;

use super::world::{World, run, text};

const PAGE: &str = include_str!("../../../../../docs/agents.md");

/// The settings that `roots setup` writes, and the program.
const SETTINGS: [(&str, &str); 7] = [
    ("claude", ".mcp.json"),
    ("claude", ".claude/settings.json"),
    ("codex", ".codex/config.toml"),
    ("codex", ".codex/hooks.json"),
    ("gemini", ".gemini/settings.json"),
    ("cursor", ".cursor/mcp.json"),
    ("cursor", ".cursor/hooks.json"),
];

/// The blocks of code: the language, and the text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((language, block.join("\n")));
        }
    }
    found
}

/// A block of settings, or `None` if it is of another language.
fn settings(language: &str, block: &str) -> Option<Value> {
    match language {
        "json" => Some(serde_json::from_str(block).map_err(|error| (error, block)).unwrap()),
        "toml" => Some(toml::from_str(block).map_err(|error| (error, block)).unwrap()),
        _ => None,
    }
}

/// Adds each command that these settings run.
fn collect_commands(settings: &Value, found: &mut Vec<String>) {
    match settings {
        Value::Object(members) => {
            if let Some(command) = members.get("command").and_then(Value::as_str) {
                let more = members.get("args").and_then(Value::as_array).into_iter().flatten();
                let words = std::iter::once(command).chain(more.filter_map(Value::as_str));
                found.push(words.collect::<Vec<_>>().join(" "));
            }
            members.values().for_each(|value| collect_commands(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_commands(value, found)),
        _ => {}
    }
}

/// The words of a line as a shell splits it: a text in double quotes is one word.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(number, part)| {
            let is_quoted = number % 2 == 1;
            let words: Vec<_> =
                if is_quoted { vec![part] } else { part.split_whitespace().collect() };
            words
        })
        .collect()
}

#[test]
fn the_page_shows_what_setup_writes() {
    let world = World::new();
    for program in ["claude", "codex", "gemini", "cursor", "agents-md"] {
        let output = run(&mut world.bare(&["setup", program, "--yes"]), "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let written = |name: &str| fs::read_to_string(world.project().join(name)).unwrap();
    for (program, name) in SETTINGS {
        let (_, after) = PAGE.split_once(&format!("`{name}`")).ok_or(name).unwrap();
        let (language, shown) = blocks(after).swap_remove(0);
        let shown = settings(language, &shown);
        let written = settings(language, &written(name));
        assert_eq!(shown, written, "`roots setup {program}` writes another {name}");
    }
    let section = blocks(PAGE).into_iter().find(|(language, _)| *language == "markdown").unwrap().1;
    for name in ["AGENTS.md", "CLAUDE.md", "GEMINI.md", ".cursor/rules/roots.mdc"] {
        assert!(written(name).contains(&section), "{name}: {}", written(name));
    }
}

#[test]
fn each_command_on_the_page_exists() {
    let mut commands: Vec<String> = Vec::new();
    for (language, block) in blocks(PAGE) {
        match settings(language, &block) {
            Some(settings) => collect_commands(&settings, &mut commands),
            None => commands.extend(block.lines().map(str::to_owned)),
        }
        // Within the sentences of a block for agents.
        commands.extend(block.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    // Each second part of a line is code.
    let lines = PAGE.lines().filter(|line| !line.starts_with("```"));
    commands.extend(lines.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned));
    commands.retain(|line| line.starts_with("roots "));
    commands.sort();
    commands.dedup();
    assert!(commands.len() > 10, "{commands:#?}");
    let world = World::new();
    for line in commands {
        let mut arguments = words(&line).split_off(1);
        arguments.push("--help");
        let output = run(&mut world.bare(&arguments), "");
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
    }
}
