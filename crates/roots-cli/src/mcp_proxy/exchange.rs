//! One message: sent to the server, and answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roots_client::model::SessionStatus;
use roots_client::{Error, RawAnswer};
use serde_json::Value;

use crate::connection::{Connection, connect};
use crate::error::CliError;
use crate::mcp_proxy::answer::{addressed, is_refusal_of_tool, messages, result_of_tool};
use crate::mcp_proxy::message::Message;
use crate::output::tell;
use crate::work_tree::WorkTree;

/// How long an answer may take. The server ends its own work after 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// The server, and what was agreed on with it.
pub(crate) struct Exchange {
    /// How long finding the key may take, and then a connection to the server.
    away_after: Duration,
    server: Mutex<Option<Server>>,
    /// The revision of the protocol that a handshake agreed on.
    agreed: Mutex<Option<String>>,
}

/// The server and the work tree.
#[derive(Clone)]
struct Server {
    connection: Arc<Connection>,
    tree: Arc<WorkTree>,
}

impl Exchange {
    /// With a server that is not looked for yet, and counts as away after this time.
    pub(crate) fn new(away_after: Duration) -> Self {
        Self { away_after, server: Mutex::default(), agreed: Mutex::default() }
    }

    /// The messages that answer this one. Whatever goes wrong is an answer too.
    pub(crate) async fn answer(&self, message: Message) -> Vec<Value> {
        match self.try_answer(&message).await {
            Ok(answers) => answers,
            Err(error) if message.id().is_none() => {
                noted(Err(error));
                Vec::new()
            }
            Err(error) => {
                let problem = matches!(error, CliError::Api(Error::Refused { .. }));
                let problem = problem.then(|| error.problem());
                message.failure(&told(&error), problem).into_iter().collect()
            }
        }
    }

    async fn try_answer(&self, message: &Message) -> Result<Vec<Value>, CliError> {
        let server = self.server().await?;
        let mut message = message.clone();
        message.name_write();
        if message.lacks_session()
            && let Some(session) = server.tree.state()?.session_id
        {
            message.fill_session(session);
        }
        let mut answers = self.send(&server, &message).await?;
        if answers.iter().any(is_refusal_of_tool)
            && let Some(session) = message.filled().session
            && has_ended(&server, session).await
        {
            noted(forget(&server.tree, session));
            if let Some(other) = message.without_session() {
                answers = self.send(&server, &other).await?;
            }
        }
        for answer in &answers {
            noted(self.learn(&server, &message, answer));
        }
        let answers = answers.into_iter().map(|answer| addressed(answer, message.id()));
        let mut answers: Vec<_> = answers.collect();
        let is_answered = |id| answers.iter().any(|answer| answer.get("id") == Some(id));
        if message.id().is_some_and(|id| !is_answered(id)) {
            answers.extend(message.failure("Roots: the server ended without an answer", None));
        }
        Ok(answers)
    }

    /// Sends a message. If the connection breaks, it is sent once more: a read may be repeated, and
    /// a write has its name.
    async fn send(&self, server: &Server, message: &Message) -> Result<Vec<Value>, CliError> {
        let answer = match self.post(server, message).await {
            Err(Error::Broken(_)) if message.id().is_some() => self.post(server, message).await?,
            answer => answer?,
        };
        match messages(&answer) {
            Some(messages) => Ok(messages),
            None if answer.status.as_u16() == 404 => Err(CliError::NotThere(format!(
                "the server at {} has no /mcp: it is older than this program, or ROOTS_URL is \
                 that of another server",
                server.connection.url
            ))),
            None => Err(answer.into_error().into()),
        }
    }

    async fn post(&self, server: &Server, message: &Message) -> Result<RawAnswer, Error> {
        let agreed = locked(&self.agreed).clone();
        let request = message.request(agreed.as_deref())?;
        server.connection.client.send_raw(request).await
    }

    /// Remembers what the answer tells: the revision, and the session of the work tree.
    fn learn(&self, server: &Server, message: &Message, answer: &Value) -> Result<(), CliError> {
        if message.is_handshake()
            && let Some(version) = answer.pointer("/result/protocolVersion").and_then(Value::as_str)
        {
            *locked(&self.agreed) = Some(version.to_owned());
        }
        let session = result_of_tool(answer).and_then(|result| result.get("session_id"));
        match (message.tool(), session.and_then(Value::as_i64)) {
            (Some("start_session"), Some(session)) => {
                server.tree.change(|state| state.session_id = Some(session))
            }
            (Some("end_session"), Some(session)) => forget(&server.tree, session),
            _ => Ok(()),
        }
    }

    /// The server. It is looked for with the first message, and again until there is a key.
    async fn server(&self) -> Result<Server, CliError> {
        if let Some(server) = locked(&self.server).clone() {
            return Ok(server);
        }
        let away_after = self.away_after;
        // The keyring may ask a person.
        let found = tokio::task::spawn_blocking(move || -> Result<Server, CliError> {
            let connection = connect()?.impatient(away_after, ANSWER_TIMEOUT)?;
            let tree = WorkTree::current(&connection)?;
            Ok(Server { connection: connection.into(), tree: tree.into() })
        });
        let late = || CliError::Failed("the system's keyring does not answer".to_owned());
        let found = tokio::time::timeout(away_after, found).await.map_err(|_| late())?;
        let server = found.map_err(|_| late())??;
        *locked(&self.server) = Some(server.clone());
        Ok(server)
    }
}

/// Whether the session takes no more writes.
async fn has_ended(server: &Server, session: i64) -> bool {
    match server.connection.client.get_session(session).await {
        Ok(session) => session.value.status != SessionStatus::Active,
        Err(error) => error.code() == Some("not-found"),
    }
}

fn forget(tree: &WorkTree, session: i64) -> Result<(), CliError> {
    tree.change(|state| state.session_id = state.session_id.filter(|own| *own != session))
}

/// Tells what no answer can tell: the client waits for none, or the server did what it was asked.
fn noted(done: Result<(), CliError>) {
    if let Err(error) = done {
        tell(&told(&error));
    }
}

/// What is wrong, and what to do.
fn told(error: &CliError) -> String {
    let mut text = format!("Roots: {}", error.sentence());
    if let Some(advice) = error.advice() {
        text.push_str(". ");
        text.push_str(advice);
    }
    text
}

/// What the lock holds. A task that panicked left it whole.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
