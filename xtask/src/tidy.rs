//! `cargo xtask tidy`: checks the rules that the compiler doesn't. Each check returns one line for
//! each violation.

mod files;
mod layers;
mod links;
mod manifests;
mod modules;
mod prose;
mod sources;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::run;

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let root = run::workspace();
    let mut found = Vec::new();

    let metadata =
        run::output(&mut run::cargo(["metadata", "--no-deps", "--format-version=1", "--locked"]))?;
    for (name, manifest) in members(&serde_json::from_str(&metadata)?) {
        let shown = manifest.strip_prefix(root).unwrap_or(&manifest);
        found.extend(manifests::check(shown, &fs::read_to_string(&manifest)?)?);
        found.extend(manifests::check_name(shown, &name));
        let folder = manifest.parent().unwrap_or(root);
        found.extend(modules::check(root, folder)?);
    }
    for rule in layers::RULES {
        let mut tree = run::cargo(["tree", "--locked", "--all-features", "--target=all"]);
        tree.args(["--edges=normal,build", "--prefix=none", "--package", rule.package]);
        found.extend(rule.check(&run::output(&mut tree)?));
    }
    found.extend(links::check(root)?);
    found.extend(prose::check(root)?);
    found.extend(sources::check(root)?);

    if found.is_empty() {
        return Ok(());
    }
    Err(format!("the workspace is not tidy:\n  {}", found.join("\n  ")).into())
}

/// The name and the manifest of each crate of the workspace, from `cargo metadata`.
fn members(metadata: &Value) -> Vec<(String, PathBuf)> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let member = |package: &Value| {
        Some((package["name"].as_str()?.to_owned(), package["manifest_path"].as_str()?.into()))
    };
    packages.iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_manifests_are_read_from_the_metadata() {
        let metadata = serde_json::json!({"packages": [{"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml"}]});
        assert_eq!(
            members(&metadata),
            [("xtask".to_owned(), PathBuf::from("/w/xtask/Cargo.toml"))]
        );
    }
}
