//! `cargo xtask conformance`: checks the `OpenAPI` document and running servers with public tools.
//! Linters check the document. Generators make clients from it, in TypeScript and in Python: their
//! types are checked, and the clients call a server on each database. MCP clients call its tools,
//! over HTTP and by `roots mcp`. Schemathesis then sends that server requests that the document
//! allows, and requests that it does not allow.

mod service;

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use self::service::Service;
use crate::built::{self, Profile};
use crate::postgres::Cluster;
use crate::run::RunError;
use crate::tools::Tools;
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
    &["mypy", "client.py", "mcp_client.py", "mcp_inspector.py", "mcp_http.py"],
];

/// The commands that call a running server by MCP. They print warnings, and nothing else.
const MCP_CHECKS: [&[&str]; 4] = [
    &["python", "mcp_http.py"],
    &["node", "mcp_client.mjs"],
    &["python", "mcp_client.py"],
    &["python", "mcp_inspector.py"],
];

/// The commands that call a running server by its API.
const SERVER_CHECKS: [&[&str]; 4] = [
    &["node", "client.ts"],
    &["python", "client.py"],
    // Proves the exceptions that schemathesis is given next.
    &["python", "exceptions.py"],
    &["schemathesis", "run", DOCUMENT],
];

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let [server, program] = built::programs(Profile::Test, ["roots-server", "roots"])?;
    let tools = Tools::provide("conformance")?;
    tools.write(DOCUMENT, &openapi::document(&server)?)?;
    for words in DOCUMENT_CHECKS {
        run_printed(&tools, "the document", words, &[])?;
    }
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("roots.db").display());
    check_server(&tools, &server, &program, "SQLite", &sqlite)?;
    let cluster = Cluster::start()?;
    check_server(&tools, &server, &program, "PostgreSQL", &cluster.url())
}

/// Runs the clients against a server on that database. `program` is the command for agents.
fn check_server(
    tools: &Tools,
    server: &Path,
    program: &Path,
    name: &str,
    url: &str,
) -> Result<(), Box<dyn Error>> {
    let service = Service::start(server, url, &tools.path(&format!("{name}.log")))?;
    let home = tempfile::tempdir()?;
    let mut variables = service.variables().to_vec();
    variables.push(("ROOTS_PROGRAM", program.display().to_string()));
    variables.push(("ROOTS_HOME", home.path().display().to_string()));
    for words in MCP_CHECKS {
        run_silent(tools, name, words, &variables)?;
    }
    for words in SERVER_CHECKS {
        run_printed(tools, name, words, &variables)?;
    }
    Ok(())
}

/// Runs a command that fails if it prints anything: MCP clients only warn of many errors.
fn run_silent(
    tools: &Tools,
    what: &str,
    words: &[&str],
    variables: &[(&str, String)],
) -> Result<(), Box<dyn Error>> {
    let path = tools.path("printed.log");
    let output = File::create(&path)?;
    let mut command = command(tools, what, words, variables);
    let ran = run::run(command.stdout(output.try_clone()?).stderr(output));
    let printed = fs::read_to_string(path)?;
    print!("{printed}");
    ran?;
    if printed.is_empty() {
        Ok(())
    } else {
        Err(format!("`{}` printed a warning, shown above", words.join(" ")).into())
    }
}

fn run_printed(
    tools: &Tools,
    what: &str,
    words: &[&str],
    variables: &[(&str, String)],
) -> Result<(), RunError> {
    run::run(&mut command(tools, what, words, variables))
}

/// Tells which command runs now, and returns it.
fn command(tools: &Tools, what: &str, words: &[&str], variables: &[(&str, String)]) -> Command {
    println!("--> {what}: {}", words.join(" "));
    let mut command = tools.command(words);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}
