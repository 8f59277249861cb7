//! The brief that the hook tells.

use roots_client::model::Brief;
use roots_client::{Client, Error, RawAnswer, RawRequest};

/// The brief, of at most 8,000 bytes.
const PATH: &str = "/api/v1/brief?max_tokens=2000";

/// Reads the brief for an agent that works in this session. If there is none that this program can
/// read, says why.
///
/// # Errors
///
/// If the server can't be reached, or refuses.
pub(crate) async fn read(
    client: &Client,
    session: Option<i64>,
) -> Result<Result<Box<Brief>, String>, Error> {
    let mut answer = get(client, session).await?;
    // An older server knows no such parameter.
    if session.is_some() && answer.status.as_u16() == 400 {
        answer = get(client, None).await?;
    }
    match answer.status.as_u16() {
        200 => Ok(serde_json::from_slice(&answer.body)
            .map_err(|_| "this program doesn't understand the server's".to_owned())),
        404 => Ok(Err("the server gives none".to_owned())),
        _ => Err(answer.into_error()),
    }
}

async fn get(client: &Client, session: Option<i64>) -> Result<RawAnswer, Error> {
    let parameter = session.map(|session| format!("&session_id={session}")).unwrap_or_default();
    client.send_raw(RawRequest::get(&format!("{PATH}{parameter}"))).await
}
