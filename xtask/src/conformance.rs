//! `cargo xtask conformance`: checks the `OpenAPI` document and running servers with public tools.
//! Linters check the document. Generators make clients from it, in TypeScript and in Python: their
//! types are checked, and the clients call a server on each database. Schemathesis then sends that
//! server requests that the document allows, and requests that it does not allow.

mod service;
mod tools;

use std::error::Error;
use std::path::Path;

use self::service::Service;
use self::tools::Tools;
use crate::postgres::Cluster;
use crate::run::RunError;
use crate::{openapi, run};

/// The document, in the folder of the tools.
const DOCUMENT: &str = "openapi.json";

/// The commands that check the document and the clients made from it.
const DOCUMENT_CHECKS: [&[&str]; 6] = [
    // Its warnings are errors.
    &["redocly", "lint", DOCUMENT, "--extends", "recommended-strict"],
    &["openapi-spec-validator", DOCUMENT],
    &["openapi-typescript", DOCUMENT, "--output", "schema.d.ts"],
    &["tsc", "--project", "."],
    &[
        "openapi-python-client",
        "generate",
        "--path",
        DOCUMENT,
        "--config",
        "openapi-python-client.yml",
        "--meta",
        "none",
        "--output-path",
        "roots_client",
        "--overwrite",
        "--fail-on-warning",
    ],
    &["mypy", "client.py"],
];

/// The commands that call a running server.
const SERVER_CHECKS: [&[&str]; 4] = [
    &["node", "client.ts"],
    &["python", "client.py"],
    // Proves the exceptions that schemathesis is given next.
    &["python", "exceptions.py"],
    &["schemathesis", "run", DOCUMENT],
];

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let server = openapi::build_server()?;
    let tools = Tools::provide()?;
    tools.write(DOCUMENT, &openapi::document(&server)?)?;
    for words in DOCUMENT_CHECKS {
        run_printed(&tools, "the document", words, &[])?;
    }
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("roots.db").display());
    check_server(&tools, &server, "SQLite", &sqlite)?;
    let cluster = Cluster::start()?;
    check_server(&tools, &server, "PostgreSQL", &cluster.url())
}

/// Runs the clients against a server on that database.
fn check_server(tools: &Tools, server: &Path, name: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let service = Service::start(server, url, &tools.path(&format!("{name}.log")))?;
    for words in SERVER_CHECKS {
        run_printed(tools, name, words, &service.variables())?;
    }
    Ok(())
}

fn run_printed(
    tools: &Tools,
    what: &str,
    words: &[&str],
    variables: &[(&str, String)],
) -> Result<(), RunError> {
    println!("--> {what}: {}", words.join(" "));
    run::run(tools.command(words).envs(variables.iter().map(|(name, value)| (name, value))))
}
