//! Whole setups of all programs in folders of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

const ALL: [(Program, Scope); 9] = [
    (Program::Claude, Scope::Project),
    (Program::Claude, Scope::User),
    (Program::Codex, Scope::Project),
    (Program::Codex, Scope::User),
    (Program::Gemini, Scope::Project),
    (Program::Gemini, Scope::User),
    (Program::Cursor, Scope::Project),
    (Program::Cursor, Scope::User),
    (Program::AgentsMd, Scope::Project),
];

/// A home and a project, with files such as people have.
struct World {
    folder: TempDir,
}

impl World {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "project"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let world = Self::empty();
        for (name, text) in files {
            let path = world.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        world
    }

    /// With a file for each program in both places.
    fn lived_in() -> Self {
        let mut files = Vec::new();
        for top in ["home", "project"] {
            for (name, text) in [
                (".claude/settings.json", CLAUDE_SETTINGS),
                (".codex/config.toml", CODEX_CONFIG),
                (".codex/hooks.json", CODEX_HOOKS),
                (".gemini/settings.json", GEMINI_SETTINGS),
                (".cursor/mcp.json", CURSOR_MCP),
                (".cursor/hooks.json", CURSOR_HOOKS),
                (".mcp.json", "{\"mcpServers\":{}}"),
                (".claude.json", CLAUDE_STATE),
                ("CLAUDE.md", "# Project\r\n\r\nUse tabs.\r\n"),
                ("AGENTS.md", "No line break at the end"),
                ("GEMINI.md", ""),
            ] {
                files.push((format!("{top}/{name}"), text));
            }
        }
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        Self::with(&files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn places(&self) -> Places {
        let (project, home) = (self.path("project"), self.path("home"));
        Places { project, home, claude: None, codex: None }
    }

    fn plan(&self, program: Program, scope: Scope, action: Action) -> Result<Plan, SetupError> {
        Plan::new(program, scope, &self.places(), action)
    }

    fn run(&self, program: Program, scope: Scope, action: Action) {
        self.plan(program, scope, action).unwrap().apply().unwrap();
    }

    /// All files and folders, with the texts of files.
    fn content(&self) -> BTreeMap<String, Option<String>> {
        let mut content = BTreeMap::new();
        self.collect(self.folder.path(), &mut content);
        content
    }

    fn collect(&self, folder: &Path, content: &mut BTreeMap<String, Option<String>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
            if path.is_dir() {
                content.insert(name, None);
                self.collect(&path, content);
            } else {
                content.insert(name, Some(fs::read_to_string(&path).unwrap()));
            }
        }
    }

    /// The files as one text.
    fn shown(&self) -> String {
        let files = self.content();
        let files = files.iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        files.map(|(name, text)| ["=== ", name, "\n", text, "<<<\n"].concat()).collect()
    }
}

const CLAUDE_SETTINGS: &str = r#"{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "permissions": {
    "allow": ["Bash(npm run lint)", "Read(~/.zshrc)"],
    "deny": ["WebFetch"]
  },
  "env": { "FOO": "bar" },
  "hooks": {
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [{ "type": "command", "command": "./check.sh" }]
      }
    ],
    "SessionStart": [
      { "matcher": "startup", "hooks": [{ "type": "command", "command": "date" }] }
    ]
  },
  "model": "opus"
}
"#;
const CLAUDE_STATE: &str = "{\n  \"numStartups\": 12,\n  \"projects\": {\n    \"/work\": {\n      \"mcpServers\": {}\n    }\n  },\n  \"mcpServers\": {\n    \"github\": {\n      \"type\": \"http\",\n      \"url\": \"https://api.githubcopilot.com/mcp/\"\n    }\n  }\n}";
const CODEX_CONFIG: &str = r#"# My Codex
model = "gpt-5.2"   # the newest
approval_policy = "on-request"

[features]
web_search_request = true

[mcp_servers.docs]
command = "docs-server"
args = ["-4000"]

[projects."/home/me/work"]
trust_level = "trusted"
"#;
const CODEX_HOOKS: &str = "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}]}}\n";
const GEMINI_SETTINGS: &str = "{\r\n\t// comments are fine here\r\n\t\"ui\": { \"theme\": \"GitHub\" },\r\n\t\"mcpServers\": {\r\n\t\t\"git\": { \"command\": \"uvx\", \"args\": [\"mcp-server-git\"] }, // mine\r\n\t},\r\n}\r\n";
const CURSOR_MCP: &str = "{\n    \"mcpServers\": {\n        \"a\": {\n            \"url\": \"http://localhost:3000/sse\"\n        }\n    }\n}\n";
const CURSOR_HOOKS: &str = "{\n  \"version\": 1,\n  \"hooks\": {\n    \"afterFileEdit\": [{ \"command\": \".cursor/hooks/format.sh\" }]\n  }\n}\n";

#[test]
fn new_files_are_as_expected() {
    for (program, scope) in ALL {
        let world = World::empty();
        world.run(program, scope, Action::Add);
        insta::assert_snapshot!(format!("new_{program:?}_{scope:?}"), world.shown());
    }
}

#[test]
fn files_of_people_get_only_what_belongs_to_roots() {
    for (program, scope) in ALL {
        let world = World::lived_in();
        let diff = world.plan(program, scope, Action::Add).unwrap().diff();
        let diff = diff.replace(&world.folder.path().display().to_string(), "");
        insta::assert_snapshot!(format!("lived_in_{program:?}_{scope:?}"), diff);
    }
}

#[test]
fn twice_is_once() {
    for world in [World::empty, World::lived_in] {
        for (program, scope) in ALL {
            let world = world();
            world.run(program, scope, Action::Add);
            let once = world.content();
            let plan = world.plan(program, scope, Action::Add).unwrap();
            assert_eq!(plan.changes(), [], "{program:?} {scope:?}");
            assert_eq!(plan.diff(), "");
            plan.apply().unwrap();
            assert_eq!(world.content(), once);
        }
    }
}

#[test]
fn removing_restores_each_byte_of_each_file() {
    for world in [World::empty, World::lived_in] {
        for (program, scope) in ALL {
            let world = world();
            let before = world.content();
            world.run(program, scope, Action::Add);
            assert_ne!(world.content(), before);
            world.run(program, scope, Action::Remove);
            assert_eq!(world.content(), before, "{program:?} {scope:?}");
            assert_eq!(world.plan(program, scope, Action::Remove).unwrap().changes(), []);
        }
        // All at once share files.
        let world = world();
        let before = world.content();
        for (program, scope) in ALL {
            world.run(program, scope, Action::Add);
        }
        for (program, scope) in ALL.iter().rev() {
            world.run(*program, *scope, Action::Remove);
        }
        assert_eq!(world.content(), before);
    }
}

#[test]
fn no_file_gets_a_key() {
    for (program, scope) in ALL {
        let world = World::empty();
        world.run(program, scope, Action::Add);
        let shown = world.shown();
        assert!(!shown.contains("roots_"), "{shown}");
        assert!(!shown.contains("API_KEY\":") && !shown.contains("API_KEY ="), "{shown}");
    }
}

#[test]
fn a_check_tells_what_is_missing_and_what_is_old() {
    let world = World::empty();
    let plan = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap();
    let states: Vec<_> = plan.changes().iter().map(|change| change.state).collect();
    assert_eq!(states, [State::Missing; 3]);
    plan.apply().unwrap();

    fs::write(
        world.path("project/CLAUDE.md"),
        "<!-- roots:begin -->\nolder words\n<!-- roots:end -->\n",
    )
    .unwrap();
    let settings = world.path("project/.claude/settings.json");
    let text = fs::read_to_string(&settings).unwrap().replace("SessionEnd", "Stop");
    fs::write(&settings, text).unwrap();
    let plan = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap();
    let old: Vec<_> =
        plan.changes().iter().map(|change| (change.path.clone(), change.state)).collect();
    let markdown = world.path("project/CLAUDE.md");
    assert_eq!(old, [(settings, State::Old), (markdown, State::Old)]);
}

#[test]
fn a_file_that_cannot_be_read_is_refused_and_no_file_is_touched() {
    for (program, name, text) in [
        (Program::Claude, "project/.claude/settings.json", "{ \"hooks\": "),
        (Program::Claude, "project/.mcp.json", ""),
        (Program::Claude, "project/.mcp.json", "[]"),
        (Program::Claude, "project/CLAUDE.md", "<!-- roots:begin -->\nno end\n"),
        (Program::Codex, "project/.codex/config.toml", "[mcp_servers\n"),
        (
            Program::Codex,
            "project/.codex/config.toml",
            "mcp_servers = { a = { command = \"b\" } }\n",
        ),
        (Program::Gemini, "project/.gemini/settings.json", "{\"hooks\": {\"SessionEnd\": true}}"),
        (Program::Cursor, "project/.cursor/hooks.json", "{\"version\": 1, \"hooks\": []}"),
    ] {
        let world = World::with(&[(name, text)]);
        let before = world.content();
        let error = world.plan(program, Scope::Project, Action::Add).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("Nothing was changed"), "{message}");
        assert_eq!(world.content(), before);
    }
    let world = World::empty();
    fs::write(world.path("project/CLAUDE.md"), [0xff, 0xfe]).unwrap();
    let error = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap_err();
    assert!(matches!(error, SetupError::Unreadable { format: "UTF-8", .. }), "{error}");
}

#[test]
fn a_server_of_that_name_that_others_set_up_is_left_to_them() {
    let world = World::with(&[
        (
            "project/.mcp.json",
            "{\"mcpServers\": {\"roots\": {\"type\": \"http\", \"url\": \"x\"}}}",
        ),
        ("project/.codex/config.toml", "[mcp_servers.roots]\nurl = \"http://x/mcp\"\n"),
    ]);
    let before = world.content();
    for program in [Program::Claude, Program::Codex] {
        world.run(program, Scope::Project, Action::Add);
        world.run(program, Scope::Project, Action::Remove);
    }
    assert_eq!(world.content(), before);
}

#[test]
fn a_byte_order_mark_stays_in_front() {
    let world = World::with(&[
        ("project/.mcp.json", "\u{feff}{\r\n  \"a\": 1\r\n}\r\n"),
        ("project/CLAUDE.md", "\u{feff}Text.\n"),
    ]);
    let before = world.content();
    world.run(Program::Claude, Scope::Project, Action::Add);
    let text = fs::read_to_string(world.path("project/.mcp.json")).unwrap();
    assert!(text.starts_with("\u{feff}{\r\n  \"a\": 1,\r\n  \"mcpServers\""), "{text}");
    world.run(Program::Claude, Scope::Project, Action::Remove);
    assert_eq!(world.content(), before);
}

#[test]
fn the_folders_of_the_environment_are_used() {
    let world = World::empty();
    let places = Places {
        claude: Some(world.path("elsewhere/claude")),
        codex: Some(world.path("elsewhere/codex")),
        ..world.places()
    };
    for program in [Program::Claude, Program::Codex] {
        Plan::new(program, Scope::User, &places, Action::Add).unwrap().apply().unwrap();
    }
    let content = world.content();
    let names: Vec<_> =
        content.iter().filter(|(_, text)| text.is_some()).map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "elsewhere/claude/.claude.json",
            "elsewhere/claude/CLAUDE.md",
            "elsewhere/claude/settings.json",
            "elsewhere/codex/AGENTS.md",
            "elsewhere/codex/config.toml",
            "elsewhere/codex/hooks.json",
        ]
    );
}

#[test]
fn agents_md_has_no_file_of_the_user() {
    let error = World::empty().plan(Program::AgentsMd, Scope::User, Action::Add).unwrap_err();
    assert!(matches!(error, SetupError::NoSuchScope(_)));
}

#[test]
fn a_file_that_changed_after_it_was_shown_is_not_overwritten() {
    let world = World::with(&[("project/AGENTS.md", "a\n")]);
    let plan = world.plan(Program::AgentsMd, Scope::Project, Action::Add).unwrap();
    fs::write(world.path("project/AGENTS.md"), "b\n").unwrap();
    let error = plan.apply().unwrap_err();
    assert!(matches!(error, SetupError::Changed { .. }), "{error}");
    assert_eq!(fs::read_to_string(world.path("project/AGENTS.md")).unwrap(), "b\n");
    assert_eq!(fs::read_dir(world.path("project")).unwrap().count(), 1, "no other file is left");
}

mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_file_keeps_its_mode() {
        let world = World::with(&[("project/docs/claude.md", "Mine.\n")]);
        let (file, link) = (world.path("project/docs/claude.md"), world.path("project/CLAUDE.md"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("docs/claude.md", &link).unwrap();
        world.run(Program::Claude, Scope::Project, Action::Add);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&file).unwrap().starts_with("Mine.\n\n<!-- roots:begin -->"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        world.run(Program::Claude, Scope::Project, Action::Remove);
        assert_eq!(fs::read_to_string(&file).unwrap(), "Mine.\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_link_out_of_the_project_is_refused() {
        for (link, target) in [
            ("project/CLAUDE.md", "../home/notes.md"),
            ("project/.claude", "../home"),
            ("project/.claude", "../home/absent/.."),
        ] {
            let world = World::with(&[("home/notes.md", "Mine.\n"), ("home/settings.json", "{}")]);
            let before = world.content();
            symlink(target, world.path(link)).unwrap();
            let error = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap_err();
            let is_dangling = target.contains("absent");
            let told = error.to_string();
            match error {
                SetupError::Dangling { .. } => assert!(is_dangling, "{told}"),
                SetupError::Outside { real, .. } => {
                    let home = fs::canonicalize(world.path("home")).unwrap();
                    assert!(real.starts_with(&home), "{told}");
                    assert!(told.contains(&real.display().to_string()), "{told}");
                }
                other => assert!(matches!(other, SetupError::Outside { .. }), "{told}"),
            }
            fs::remove_file(world.path(link)).unwrap();
            assert_eq!(world.content(), before);
        }
    }

    #[test]
    fn the_user_s_own_files_may_be_links_to_anywhere() {
        let world = World::with(&[("dotfiles/claude.md", "Mine.\n"), ("home/.claude/x", "")]);
        symlink("../../dotfiles/claude.md", world.path("home/.claude/CLAUDE.md")).unwrap();
        world.run(Program::Claude, Scope::User, Action::Add);
        let text = fs::read_to_string(world.path("dotfiles/claude.md")).unwrap();
        assert!(text.starts_with("Mine.\n\n<!-- roots:begin -->"), "{text}");
    }

    #[test]
    fn a_new_file_may_be_read_by_all_whom_the_umask_allows() {
        let world = World::empty();
        world.run(Program::AgentsMd, Scope::Project, Action::Add);
        fs::write(world.path("project/other"), "").unwrap();
        let mode = |name| fs::metadata(world.path(name)).unwrap().permissions().mode();
        assert_eq!(mode("project/AGENTS.md"), mode("project/other"));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let world = World::empty();
        fs::create_dir_all(world.path("project/CLAUDE.md")).unwrap();
        let error = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap_err();
        assert!(matches!(error, SetupError::Unfit { .. }), "{error}");
    }

    #[test]
    fn a_read_only_file_and_a_link_to_nothing_are_refused() {
        let world = World::with(&[("project/.mcp.json", "{}")]);
        let file = world.path("project/.mcp.json");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let before = world.content();
        let error = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap_err();
        assert!(matches!(error, SetupError::ReadOnly { .. }), "{error}");
        assert_eq!(world.content(), before);

        let world = World::empty();
        symlink("nowhere", world.path("project/CLAUDE.md")).unwrap();
        let error = world.plan(Program::Claude, Scope::Project, Action::Add).unwrap_err();
        assert!(matches!(error, SetupError::Dangling { .. }), "{error}");
    }
}
