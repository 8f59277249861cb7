//! `cargo xtask tidy`: the rules of the house that the compiler doesn't know. Each check returns what it found, a line
//! each; nothing found is well.

mod layers;
mod links;
mod manifests;
mod sources;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

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
    }
    for rule in layers::RULES {
        let mut tree = run::cargo(["tree", "--locked", "--all-features", "--target=all"]);
        tree.args(["--edges=normal,build", "--prefix=none", "--package", rule.package]);
        found.extend(rule.check(&run::output(&mut tree)?));
    }
    found.extend(links::check(root)?);
    found.extend(sources::check(root)?);

    if found.is_empty() {
        return Ok(());
    }
    Err(format!("the workspace is not tidy:\n  {}", found.join("\n  ")).into())
}

/// The name and the manifest of each crate of the workspace, from what `cargo metadata` says.
fn members(metadata: &Value) -> Vec<(String, PathBuf)> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let member = |package: &Value| {
        Some((package["name"].as_str()?.to_owned(), package["manifest_path"].as_str()?.into()))
    };
    packages.iter().filter_map(member).collect()
}

/// Every file under a folder, in a steady order; none where there is no such folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_read_from_the_metadata() {
        let metadata = serde_json::json!({"packages": [{"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml"}]});
        assert_eq!(
            members(&metadata),
            [("xtask".to_owned(), PathBuf::from("/w/xtask/Cargo.toml"))]
        );
    }
}
