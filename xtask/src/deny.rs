//! `cargo xtask deny`: the licences, sources and bans of what we depend on, by cargo-deny and `deny.toml`.
//!
//! Advisories are left out: they are fetched over the net, and a new one would fail a change that has nothing to do
//! with it. `cargo deny check advisories` asks for them by hand.

use std::error::Error;
use std::process::Stdio;

use crate::ci::provide;
use crate::run;

/// The version that is installed where none is there.
const VERSION: &str = "0.20.2";

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let probe = || run::output(run::cargo(["deny", "--version"]).stderr(Stdio::null())).map(drop);
    // Not optimized: it runs for three seconds and takes minutes less to build.
    let install =
        || run::cargo(["install", "--locked", "--debug", "cargo-deny", "--version", VERSION]);
    let cure = format!("cargo install --locked cargo-deny --version {VERSION}");
    provide("deny", &cure, probe, || run::run(&mut install()))?;
    let mut check = run::cargo(["deny", "--locked", "--all-features", "check"]);
    Ok(run::run(check.args(["--hide-inclusion-graph", "licenses", "bans", "sources"]))?)
}
