//! Checks that each crate inherits its lints and the versions of its dependencies from the
//! workspace, and that its folder has its name.

use std::path::Path;

use toml::{Table, Value};

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks the manifest of a crate.
pub(super) fn check(path: &Path, manifest: &str) -> Result<Vec<String>, toml::de::Error> {
    let manifest: Table = manifest.parse()?;
    let mut found = Vec::new();
    if !manifest.get("lints").is_some_and(is_inherited) {
        found.push(format!("{}: lacks `[lints] workspace = true`", path.display()));
    }
    let targets =
        manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for table in targets.filter_map(Value::as_table).chain([&manifest]) {
        let dependencies = KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()).flatten();
        for (name, _) in dependencies.filter(|(_, value)| !is_inherited(value)) {
            found.push(format!(
                "{}: `{name}` is not `workspace = true`; set its version in the workspace's Cargo.toml",
                path.display()
            ));
        }
    }
    Ok(found)
}

/// Checks that a crate under `crates/` has a folder of its name.
pub(super) fn check_name(path: &Path, name: &str) -> Option<String> {
    let folder = path.strip_prefix("crates").ok()?.parent()?;
    (folder != Path::new(name))
        .then(|| format!("{}: the folder of the crate {name} has another name", path.display()))
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str) -> Vec<String> {
        check(Path::new("crates/a/Cargo.toml"), manifest).unwrap()
    }

    #[test]
    fn a_manifest_that_inherits_everything_passes() {
        let manifest = "[lints]\nworkspace = true\n\
                        [dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n\
                        [target.'cfg(unix)'.dependencies]\nc.workspace = true\n";
        assert_eq!(found(manifest), Vec::<String>::new());
    }

    #[test]
    fn missing_lints_are_found() {
        for manifest in [
            "[package]\nname = \"a\"\n",
            "[lints]\nworkspace = false\n",
            "[lints.rust]\nunsafe_code = \"allow\"\n",
        ] {
            assert_eq!(
                found(manifest),
                ["crates/a/Cargo.toml: lacks `[lints] workspace = true`"],
                "{manifest}"
            );
        }
    }

    #[test]
    fn a_version_that_is_not_inherited_is_found_in_every_kind_of_table() {
        for table in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
            "target.'cfg(unix)'.dev-dependencies",
        ] {
            for dependency in
                ["b = \"1\"", "b = { version = \"1\", features = [] }", "b = { path = \"../b\" }"]
            {
                let found = found(&format!("lints.workspace = true\n[{table}]\n{dependency}\n"));
                assert_eq!(found.len(), 1, "{table}: {dependency}: {found:?}");
                assert!(found[0].contains("`b` is not `workspace = true`"), "{found:?}");
            }
        }
    }

    #[test]
    fn a_folder_of_another_name_is_found() {
        assert!(check_name(Path::new("crates/http/Cargo.toml"), "roots-http").is_some());
        assert_eq!(check_name(Path::new("crates/roots-http/Cargo.toml"), "roots-http"), None);
        assert_eq!(check_name(Path::new("migrations/Cargo.toml"), "roots-migrations"), None);
    }
}
