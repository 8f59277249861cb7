//! Checks that modules are named for what they do, and that no test is ignored.

use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

use super::files::files;

/// Names that don't say what a module does, so that everything fits in.
const EMPTY_NAMES: [&str; 5] = ["common", "helper", "helpers", "util", "utils"];

/// The crate of the pages.
const PAGES: &str = "crates/roots-web/src";
/// What the policy of the pages blocks, so that it would be without effect.
const INLINE: [&str; 4] = ["style=", "onclick=", "onchange=", "onsubmit="];

/// Checks the sources of all crates.
pub(super) fn check(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["crates", "migrations", "xtask"] {
        for path in files(&root.join(folder))? {
            if path.extension() != Some(OsStr::new("rs")) {
                continue;
            }
            let shown = path.strip_prefix(root).unwrap_or(&path);
            found.extend(check_path(shown));
            // The tests in this file contain what it looks for.
            if folder != "xtask" {
                found.extend(check_source(shown, &fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}

fn check_path(path: &Path) -> Option<String> {
    let empty =
        path.with_extension("").iter().any(|part| EMPTY_NAMES.iter().any(|name| part == *name));
    empty.then(|| format!("{}: this name says nothing; name it for what it does", path.display()))
}

fn check_source(path: &Path, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("cfg_attr(").filter(|(at, _)| ignores(&source[*at..])) {
        let number = source[..at].matches('\n').count() + 1;
        found.push(format!(
            "{}:{number}: a test is sometimes ignored; run every test",
            path.display()
        ));
    }
    for (number, line) in (1..).zip(source.lines()) {
        let at = format!("{}:{number}", path.display());
        if line.contains("#[ignore") {
            found.push(format!("{at}: a test is ignored; run every test"));
        }
        if path.starts_with(PAGES) && INLINE.iter().any(|inline| line.contains(inline)) {
            found.push(format!("{at}: the policy of the pages forbids inline styles and handlers"));
        }
        if let Some(name) = module(line).filter(|name| EMPTY_NAMES.contains(name)) {
            found.push(format!("{at}: `mod {name}` says nothing; name it for what it does"));
        }
    }
    found
}

/// Whether the `cfg_attr(…)` at the start of `source` sets `ignore`. It may span several lines.
fn ignores(source: &str) -> bool {
    let mut depth = 0_usize;
    let mut word = String::new();
    // Every second piece is within quotes, so it is a value and no attribute.
    for char in source.split('"').step_by(2).flat_map(|piece| piece.chars().chain([' '])) {
        if char.is_alphanumeric() || char == '_' {
            word.push(char);
            continue;
        }
        if word == "ignore" {
            return true;
        }
        word.clear();
        match char {
            '(' => depth += 1,
            ')' if depth <= 1 => return false,
            ')' => depth -= 1,
            _ => {}
        }
    }
    false
}

/// The module that a line declares.
fn module(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let declares = before.trim().is_empty() || before.trim_start().starts_with("pub");
    let name = after.split(|char: char| !char.is_alphanumeric() && char != '_').next();
    name.filter(|_| declares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_folder_with_an_empty_name_is_found() {
        for path in [
            "crates/roots-http/src/utils.rs",
            "crates/roots-http/src/common.rs",
            "crates/roots-http/src/helpers/time.rs",
            "crates/roots-http/tests/common/mod.rs",
        ] {
            assert!(check_path(Path::new(path)).is_some(), "{path}");
        }
        assert_eq!(check_path(Path::new("crates/roots-http/src/problem.rs")), None);
        assert_eq!(check_path(Path::new("crates/roots-http/src/commonly.rs")), None);
    }

    #[test]
    fn an_inline_module_with_an_empty_name_is_found() {
        for source in ["mod utils {", "    pub(crate) mod helpers;", "pub mod common {"] {
            assert_eq!(check_source(Path::new("a.rs"), source).len(), 1, "{source}");
        }
        for source in ["mod todo;", "// a mod utils would not do", "use crate::common;"] {
            assert_eq!(check_source(Path::new("a.rs"), source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn an_inline_style_of_a_page_is_found() {
        let source = "html! { p style=\"color:red\" { (text) } }\n";
        let page = Path::new("crates/roots-web/src/pages/now.rs");
        assert_eq!(check_source(page, source).len(), 1);
        assert!(check_source(Path::new("crates/roots-http/src/a.rs"), source).is_empty());
        assert!(check_source(page, "html! { p.red { (text) } }\n").is_empty());
    }

    #[test]
    fn an_ignored_test_is_found() {
        let source = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n";
        assert_eq!(
            check_source(Path::new("a.rs"), source),
            ["a.rs:2: a test is ignored; run every test"]
        );
    }

    #[test]
    fn a_test_that_is_sometimes_ignored_is_found() {
        for source in [
            "#[test]\n#[cfg_attr(miri, ignore)]\nfn a() {}\n",
            "#[test]\n#[cfg_attr(not(feature = \"a)\"), ignore = \"slow\")]\nfn a() {}\n",
            "#[test]\n#[cfg_attr(\n    all(unix, miri),\n    ignore\n)]\nfn a() {}\n",
        ] {
            let found = check_source(Path::new("a.rs"), source);
            assert_eq!(found, ["a.rs:2: a test is sometimes ignored; run every test"], "{source}");
        }
        for source in [
            "#[cfg_attr(feature = \"ignore\", derive(Debug))]\nstruct A { ignore: bool }\n",
            "#[cfg_attr(miri, expect(clippy::ignored_unit_patterns))]\nfn ignore() {}\n",
        ] {
            assert_eq!(check_source(Path::new("a.rs"), source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn the_sources_of_every_crate_are_checked() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["crates/a/src", "migrations/src", "xtask/src"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("utils.rs"), "").unwrap();
        }
        assert_eq!(check(root.path()).unwrap().len(), 3);
    }
}
