//! `roots status`: the server, both versions, who calls, and the session of the work tree.

use std::collections::BTreeSet;

use futures_util::future::join3;
use roots_client::Operation;
use roots_client::model::{Health, Session, Whoami};
use serde::Serialize;
use serde_json::Value;

use super::session::described;
use crate::connection::{Connection, KeySource, connect};
use crate::error::CliError;
use crate::output::{Output, Shape, View, one_line, printable, tell};
use crate::session_link::SessionLink;
use crate::work_tree::WorkTree;

/// What there is to tell.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    client_version: &'static str,
    server_version: Option<String>,
    key_from: KeySource,
    whoami: Whoami,
    work_tree: String,
    /// The session of the work tree.
    session: Option<Session>,
    /// The operations that this program knows and the server lacks.
    server_lacks: Option<Vec<String>>,
    /// The operations of the server that this program lacks.
    client_lacks: Option<Vec<String>>,
}

const STATUS: Shape = Shape::of(&[
    "url",
    "client_version",
    "server_version",
    "key_from",
    "whoami",
    "work_tree",
    "session",
    "server_lacks",
    "client_lacks",
]);

/// Shows the server, both versions, who calls, and the session of the work tree.
///
/// # Errors
///
/// If the server can't be reached or refuses the key. See [`CliError`].
pub(crate) async fn status(output: &Output) -> Result<(), CliError> {
    let view = View::new(output, STATUS)?;
    let connection = connect()?;
    let read = read(&connection).await;
    if read.is_err() {
        tell(&format!(
            "The server is {url}, and the key is that of {source}.",
            url = connection.url,
            source = connection.key_source.name()
        ));
    }
    let status = read?;
    view.show(&status, || text(&status))
}

async fn read(connection: &Connection) -> Result<Status, CliError> {
    let client = &connection.client;
    let document = async { client.openapi().await };
    let (health, whoami, document) = join3(client.health(), client.whoami(), document).await;
    let whoami = whoami?;
    let tree = WorkTree::current(connection)?;
    // A server that does not describe itself serves its other requests all the same.
    let lacks = document.ok().map(|document| lacks(&document.value));
    let (server_lacks, client_lacks) = lacks.unzip();
    Ok(Status {
        url: connection.url.clone(),
        client_version: env!("CARGO_PKG_VERSION"),
        server_version: health.ok().map(|Health { version, .. }| version),
        key_from: connection.key_source,
        whoami,
        work_tree: tree.root().display().to_string(),
        session: session(connection, &tree).await?,
        server_lacks,
        client_lacks,
    })
}

/// The session of the work tree, if it goes on.
async fn session(connection: &Connection, tree: &WorkTree) -> Result<Option<Session>, CliError> {
    let Some(id) = tree.state()?.session_id else { return Ok(None) };
    let link = SessionLink { connection, tree };
    link.active(id).await
}

/// The operations that the server lacks, and those that this program lacks, by the OpenAPI document
/// of the server.
fn lacks(document: &Value) -> (Vec<String>, Vec<String>) {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.filter_map(|(_, path)| path.as_object()).flatten();
    let served: BTreeSet<&str> =
        methods.filter_map(|(_, operation)| operation["operationId"].as_str()).collect();
    let known: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.id()).collect();
    let missing = |from: &BTreeSet<&str>, of: &BTreeSet<&str>| {
        of.difference(from).map(|&id| id.to_owned()).collect()
    };
    (missing(&served, &known), missing(&known, &served))
}

fn text(status: &Status) -> String {
    let whoami = &status.whoami;
    let mut lines = vec![
        format!("Server     {}", status.url),
        format!(
            "Versions   server {server}, roots {client}",
            server = status.server_version.as_deref().map_or("unknown".to_owned(), one_line),
            client = status.client_version
        ),
        format!("Key        from {}", status.key_from.name()),
        format!(
            "Actor      {name} ({role} of {account})",
            name = one_line(&whoami.actor_name),
            role = whoami.role,
            account = one_line(&whoami.account_name)
        ),
        format!("Credits    {}", whoami.credits_remaining),
        format!("Work tree  {}", printable(&status.work_tree)),
        format!(
            "Session    {}",
            status.session.as_ref().map_or("none".to_owned(), |session| {
                format!("{id}, {about}", id = session.session_id, about = described(session))
            })
        ),
    ];
    match &status.server_lacks {
        None => lines.push("The server does not say what it offers.".to_owned()),
        Some(lacks) if !lacks.is_empty() => lines.push(format!(
            "The server lacks {}. Commands that need them fail until it is updated.",
            lacks.join(", ")
        )),
        Some(_) => {}
    }
    match &status.client_lacks {
        Some(lacks) if !lacks.is_empty() => lines.push(format!(
            "The server also offers {}. This program does not know them; a newer one does.",
            lacks.iter().map(|id| one_line(id)).collect::<Vec<_>>().join(", ")
        )),
        _ => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A document with all operations but those, and with one that is new.
    fn document(without: &[&str]) -> Value {
        let served = Operation::ALL.iter().filter(|operation| !without.contains(&operation.id()));
        let mut paths: serde_json::Map<_, _> = served
            .map(|operation| {
                let path = format!("/{id}", id = operation.id());
                (path, json!({"summary": "x", "get": {"operationId": operation.id()}}))
            })
            .collect();
        paths.insert("/new".to_owned(), json!({"post": {"operationId": "foretell"}}));
        json!({"paths": paths})
    }

    #[test]
    fn what_an_older_or_newer_server_lacks_is_found() {
        let (server, client) = lacks(&document(&["claimTodo", "search"]));
        assert_eq!(server, ["claimTodo", "search"]);
        assert_eq!(client, ["foretell"]);
        assert_eq!(lacks(&json!([])).0.len(), Operation::ALL.len());
    }
}
