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
use crate::output::{Output, Shape, View, one_line, tell};
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
    let operations = document.ok().map(|document| operation_ids(&document.value));
    let known: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.id()).collect();
    let server_lacks = operations.as_ref().map(|served| {
        let lacking = known.iter().filter(|&&id| !served.contains(id));
        lacking.map(|&id| id.to_owned()).collect()
    });
    let client_lacks = operations
        .map(|served| served.into_iter().filter(|id| !known.contains(id.as_str())).collect());
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

/// The session of the work tree. One that has ended or is gone is told and forgotten.
async fn session(connection: &Connection, tree: &WorkTree) -> Result<Option<Session>, CliError> {
    let Some(id) = tree.state()?.session_id else { return Ok(None) };
    let link = SessionLink { connection, tree };
    if let Some(end) = link.end_of(id).await? {
        link.forget_session(id, end)?;
        return Ok(None);
    }
    Ok(Some(connection.client.get_session(id).await?.value))
}

/// The operations that an OpenAPI document describes.
fn operation_ids(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.filter_map(|(_, path)| path.as_object()).flatten();
    let ids = methods.filter_map(|(_, operation)| operation["operationId"].as_str());
    ids.map(str::to_owned).collect()
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
        format!("Work tree  {}", status.work_tree),
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

    #[test]
    fn the_operations_of_a_document_are_found() {
        let document = json!({"paths": {
            "/a": {"summary": "x", "get": {"operationId": "getA"}, "post": {"operationId": "addA"}},
            "/b": {"parameters": [], "delete": {"operationId": "deleteB"}},
        }});
        let ids: Vec<_> = operation_ids(&document).into_iter().collect();
        assert_eq!(ids, ["addA", "deleteB", "getA"]);
        assert!(operation_ids(&json!([])).is_empty());
    }
}
