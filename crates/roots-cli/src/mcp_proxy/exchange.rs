//! One message: sent to the server, and answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roots_client::model::SessionStatus;
use roots_client::{Error, IdempotencyKey};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::CliError;
use crate::mcp_proxy::answer::{
    add_text, addressed, is_in_doubt, is_refusal_of_tool, messages, passing_refusal,
    result_of_tool, takes_session,
};
use crate::mcp_proxy::message::{Filled, Message};
use crate::mcp_proxy::own_session::OwnSession;
use crate::mcp_proxy::server::{ANSWER_TIMEOUT, Search, Server};
use crate::mcp_proxy::tools::TakesSession;
use crate::output::tell;
use crate::work_tree::WorkTree;

/// How often a message is sent at most, as the client of the API has it.
const TRIES_MAX: u32 = 5;
/// The wait after the first try. Each wait is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The server, and what was agreed on with it.
pub(crate) struct Exchange {
    search: Search,
    own: OwnSession,
    /// The revision of the protocol that a handshake agreed on.
    agreed: Mutex<Option<String>>,
    /// Whether the server listed a brief that takes a session. Older ones refuse it.
    brief_takes_session: AtomicBool,
}

/// A message on its way.
struct Journey<'a> {
    message: &'a Message,
    server: Server,
    deadline: Instant,
    /// The name of the write, once it may have been done although no answer says so.
    in_doubt: &'a mut Option<String>,
}

impl Exchange {
    /// With a server that is not looked for yet and counts as away after this time, and with the
    /// session that the environment names.
    pub(crate) fn new(away_after: Duration, session: Option<i64>) -> Self {
        Self {
            search: Search::new(away_after),
            own: OwnSession::new(session),
            agreed: Mutex::default(),
            brief_takes_session: AtomicBool::default(),
        }
    }

    /// The messages that answer this one. Whatever goes wrong is an answer too.
    pub(crate) async fn answer(&self, message: Message) -> Vec<Value> {
        let mut in_doubt = None;
        match self.try_answer(&message, &mut in_doubt).await {
            Ok(answers) => answers,
            Err(error) if message.id().is_none() => {
                noted(Err(error));
                Vec::new()
            }
            Err(error) => {
                let problem = matches!(error, CliError::Api(Error::Refused { .. }));
                let problem = problem.then(|| error.problem());
                let text = match in_doubt {
                    Some(name) => format!("Roots: {}. {}", error.sentence(), repeat_as(&name)),
                    None => told(&error),
                };
                message.failure(&text, problem).into_iter().collect()
            }
        }
    }

    async fn try_answer(
        &self,
        message: &Message,
        in_doubt: &mut Option<String>,
    ) -> Result<Vec<Value>, CliError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let server = self.search.server().await?;
        let mut filled = self.filled(message, &server.tree)?;
        let mut journey = Journey { message, server, deadline, in_doubt };
        let mut answers = self.send(&mut journey, &filled).await?;
        let is_refused = answers.iter().any(is_refusal_of_tool);
        if let Some(session) = filled.session.filter(|_| is_refused)
            && has_ended(&journey, session).await
        {
            noted(self.own.ended(session, &journey.server.tree));
            // To end another session than the one meant is no help.
            if message.tool_name() != Some("end_session") {
                let other = self.own.session(&journey.server.tree)?;
                filled = self.filled_with(message, other.filter(|other| *other != session));
                answers = self.send(&mut journey, &filled).await?;
            }
        }
        for answer in &answers {
            noted(self.learn(message, answer, &journey.server.tree));
        }
        let mut answers: Vec<_> =
            answers.into_iter().map(|answer| addressed(answer, message.id())).collect();
        if let Some(name) = &filled.request_id {
            let in_doubt = answers.iter_mut().filter(|answer| is_in_doubt(answer));
            in_doubt.for_each(|answer| add_text(answer, &repeat_as(name)));
        }
        let is_answered = |id| answers.iter().any(|answer| answer.get("id") == Some(id));
        if message.id().is_some_and(|id| !is_answered(id)) {
            let mut text = "Roots: the server ended without an answer".to_owned();
            if let Some(name) = filled.name_of_write(message) {
                text = format!("{text}. {}", repeat_as(&name));
            }
            answers.extend(message.failure(&text, None));
        }
        Ok(answers)
    }

    /// The message with the session of this process. A write that is repeated gets what it had.
    fn filled(&self, message: &Message, tree: &WorkTree) -> Result<Filled, CliError> {
        let write = message.given_request_id();
        let before = write.as_deref().and_then(|write| self.own.filled_into(write));
        let session = match (before, message.lacks_session()) {
            (Some(before), _) => before.session,
            (None, None) => None,
            (None, Some(TakesSession::OwnIfListed))
                if !self.brief_takes_session.load(Ordering::Relaxed) =>
            {
                None
            }
            (None, Some(_)) => self.own.session(tree)?,
        };
        Ok(self.filled_with(message, session))
    }

    fn filled_with(&self, message: &Message, session: Option<i64>) -> Filled {
        let filled = message.filled(session, IdempotencyKey::unique().as_str());
        if let Some(name) = filled.name_of_write(message) {
            self.own.remember(&name, filled.session);
        }
        filled
    }

    /// Sends a message, and again while the trouble passes: a read may be repeated, and a write has
    /// its name.
    async fn send(
        &self,
        journey: &mut Journey<'_>,
        filled: &Filled,
    ) -> Result<Vec<Value>, CliError> {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        loop {
            let outcome = self.post(journey, filled).await;
            let asked_wait = match &outcome {
                Ok(answers) => answers.iter().find_map(passing_refusal),
                Err(error) if error.may_pass() => Some(retry_after(error)),
                Err(_) => None,
            };
            let Some(asked_wait) = asked_wait.filter(|_| journey.message.is_repeatable()) else {
                return outcome;
            };
            let is_away = matches!(&outcome, Err(CliError::Api(Error::Unreachable(_))));
            if is_away && journey.in_doubt.is_none() {
                // Nothing was done, and the agent has other things to do than to wait.
                return outcome;
            }
            if may_be_done(&outcome) {
                *journey.in_doubt = filled.name_of_write(journey.message);
            }
            let again = Instant::now() + wait.max(asked_wait);
            if tries == TRIES_MAX || again >= journey.deadline {
                return outcome;
            }
            sleep(again.saturating_duration_since(Instant::now())).await;
            tries += 1;
            wait *= 2;
        }
    }

    async fn post(&self, journey: &Journey<'_>, filled: &Filled) -> Result<Vec<Value>, CliError> {
        let agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = journey.message.request(filled, agreed.as_deref())?;
        let connection = &journey.server.connection;
        let answer = timeout_at(journey.deadline, connection.client.send_raw(request)).await;
        let answer = answer.unwrap_or(Err(Error::TimedOut))?;
        match messages(&answer) {
            Some(messages) => Ok(messages),
            None if answer.status.as_u16() == 404 => Err(CliError::NotThere(format!(
                "the server at {} has no /mcp: it is older than this program, or ROOTS_URL is \
                 that of another server",
                connection.url
            ))),
            None => Err(answer.into_error().into()),
        }
    }

    /// Remembers what the answer tells: the revision, what the brief takes, the session, and the
    /// claims.
    fn learn(&self, message: &Message, answer: &Value, tree: &WorkTree) -> Result<(), CliError> {
        if message.is_handshake()
            && let Some(version) = answer.pointer("/result/protocolVersion").and_then(Value::as_str)
        {
            let version = Some(version.to_owned());
            *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = version;
        }
        if message.is_for_tools() && takes_session(answer, "work_brief") {
            self.brief_takes_session.store(true, Ordering::Relaxed);
        }
        let Some(result) = result_of_tool(answer) else { return Ok(()) };
        let session = result.get("session_id").and_then(Value::as_i64);
        match (message.tool_name(), session) {
            (Some("start_session"), Some(session)) => self.own.started(session, tree),
            (Some("end_session"), Some(session)) => self.own.ended(session, tree),
            (Some("claim_todo"), _) => {
                self.note_use(message);
                learn_claim(result, true, tree)
            }
            (Some("update_todo"), _) => {
                let is_own = message.argument::<i64>("claim_token").is_some()
                    || message.argument::<String>("status").as_deref() == Some("in_progress");
                learn_claim(result, is_own, tree)
            }
            _ => {
                self.note_use(message);
                Ok(())
            }
        }
    }

    /// The client worked in the session that it named.
    fn note_use(&self, message: &Message) {
        if let Some(session) = message.named_session() {
            self.own.used(session);
        }
    }
}

/// Remembers the claim that the todo has, if it is the client's own, for other commands of the work
/// tree. A claim that has ended is forgotten.
fn learn_claim(todo: &Value, is_own: bool, tree: &WorkTree) -> Result<(), CliError> {
    let Some(id) = todo.get("todo_id").and_then(Value::as_i64) else { return Ok(()) };
    match todo.pointer("/claim/token").and_then(Value::as_i64) {
        Some(token) if is_own => tree.change(|state| {
            state.claims.insert(id, token);
        }),
        Some(_) => Ok(()),
        None => tree.change(|state| {
            state.claims.remove(&id);
        }),
    }
}

/// Whether the session takes no more writes.
async fn has_ended(journey: &Journey<'_>, session: i64) -> bool {
    let client = &journey.server.connection.client;
    match timeout_at(journey.deadline, async { client.get_session(session).await }).await {
        Ok(Ok(session)) => session.value.status != SessionStatus::Active,
        Ok(Err(error)) => error.code() == Some("not-found"),
        Err(_) => false,
    }
}

/// Whether a write may have been done although no answer says so.
fn may_be_done(outcome: &Result<Vec<Value>, CliError>) -> bool {
    match outcome {
        Ok(answers) => answers.iter().any(is_in_doubt),
        Err(CliError::Api(Error::Unreachable(_))) => false,
        Err(CliError::Api(error)) => {
            error.code().is_none_or(|code| matches!(code, "still-in-flight" | "outcome-unknown"))
        }
        Err(_) => false,
    }
}

fn retry_after(error: &CliError) -> Duration {
    match error {
        CliError::Api(error) => error.retry_after().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

/// What an agent does whose write is in doubt.
fn repeat_as(name: &str) -> String {
    format!(
        "It may have been done or not. Call the tool again with the same arguments and request_id \
         {name:?}: it is done once."
    )
}

/// Tells what no answer can tell: the client waits for none, or the server did what it was asked.
fn noted(done: Result<(), CliError>) {
    if let Err(error) = done {
        tell(&told(&error));
    }
}

/// What is wrong, and what to do.
fn told(error: &CliError) -> String {
    format!("Roots: {}", error.with_advice())
}
