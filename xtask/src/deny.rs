//! `cargo xtask deny`: checks licences, sources and bans of dependencies with cargo-deny and
//! `deny.toml`.
//!
//! It does not check advisories: they need the network, and a new advisory would fail an unrelated
//! change. Run `cargo deny check advisories` by hand.

use std::error::Error;
use std::process::Stdio;

use crate::provide::provide;
use crate::run;

/// The version to install if cargo-deny is missing.
const VERSION: &str = "0.20.2";

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let probe = || run::output(run::cargo(["deny", "--version"]).stderr(Stdio::null())).map(drop);
    // A debug build: it runs for 3 s, and an optimized one takes minutes longer to build.
    let install =
        || run::cargo(["install", "--locked", "--debug", "cargo-deny", "--version", VERSION]);
    let cure = format!("cargo install --locked cargo-deny --version {VERSION}");
    provide("deny", &cure, probe, || run::run(&mut install()))?;
    let mut check = run::cargo(["deny", "--locked", "--all-features", "check"]);
    Ok(run::run(check.args(["--hide-inclusion-graph", "licenses", "bans", "sources"]))?)
}
