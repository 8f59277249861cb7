//! The lines between the client and the server.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{AbortHandle, JoinSet};

use crate::error::CliError;
use crate::mcp_proxy::exchange::Exchange;
use crate::mcp_proxy::message::{Message, Refused};
use crate::output::{line, tell};

/// The most requests in flight. Further lines wait.
const IN_FLIGHT_MAX: usize = 64;
/// The most lines that were read and wait.
const LINES_MAX: usize = 16;

/// Posts each line of standard input to the server, and writes what it answers, until the input
/// ends and each request is answered.
///
/// # Errors
///
/// If the answers can't be written.
pub(crate) async fn run(away_after: Duration) -> Result<(), CliError> {
    let mut proxy = Proxy {
        exchange: Arc::new(Exchange::new(away_after, session_of_environment())),
        tasks: JoinSet::new(),
        in_flight: HashMap::new(),
    };
    let mut lines = lines()?;
    loop {
        tokio::select! {
            read = lines.recv(), if proxy.tasks.len() < IN_FLIGHT_MAX => match read {
                Some(text) => proxy.take(&text)?,
                None => break,
            },
            Some(answered) = proxy.tasks.join_next() => proxy.write(answered.ok())?,
        }
    }
    while let Some(answered) = proxy.tasks.join_next().await {
        proxy.write(answered.ok())?;
    }
    Ok(())
}

/// The session to work in, as `ROOTS_SESSION` names it.
fn session_of_environment() -> Option<i64> {
    let text = env::var("ROOTS_SESSION").ok().filter(|text| !text.trim().is_empty())?;
    let session = text.trim().parse().ok().filter(|session| *session > 0);
    if session.is_none() {
        tell("Roots: ROOTS_SESSION is no id of a session, so it is not used");
    }
    session
}

struct Proxy {
    exchange: Arc<Exchange>,
    tasks: JoinSet<Answered>,
    /// The requests that can be cancelled, by their ids as JSON.
    in_flight: HashMap<String, AbortHandle>,
}

/// A message with its answers.
struct Answered {
    id: Option<String>,
    answers: Vec<Value>,
}

impl Proxy {
    /// Begins what a line asks for.
    fn take(&mut self, text: &[u8]) -> Result<(), CliError> {
        let message = match Message::parse(text) {
            Ok(message) => message,
            Err(Refused::Silently) => return Ok(()),
            Err(Refused::With(answer)) => return line(&answer.to_string()),
        };
        if let Some(id) = message.cancels() {
            // The server does what it was sent, and its answer is not wanted.
            if let Some(task) = self.in_flight.remove(&id.to_string()) {
                task.abort();
            }
            return Ok(());
        }
        let id = message.id().map(Value::to_string);
        let exchange = Arc::clone(&self.exchange);
        let key = id.clone();
        let task = self.tasks.spawn(async move {
            let mut answers = exchange.answer(message).await;
            if key.is_none() {
                // A notification is never answered.
                answers.clear();
            }
            Answered { id: key, answers }
        });
        if let Some(id) = id {
            self.in_flight.insert(id, task);
        }
        Ok(())
    }

    /// Writes the answers, one a line. A request that was cancelled has none.
    fn write(&mut self, answered: Option<Answered>) -> Result<(), CliError> {
        let Some(Answered { id, answers }) = answered else { return Ok(()) };
        if let Some(id) = id {
            self.in_flight.remove(&id);
        }
        answers.iter().try_for_each(|answer| line(&answer.to_string()))
    }
}

/// The lines of standard input. A thread reads them, and ends with the process.
fn lines() -> Result<Receiver<Vec<u8>>, CliError> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    let read = move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
            }
        }
    };
    let thread = thread::Builder::new().spawn(read);
    thread.map_err(|source| CliError::System { what: "standard input can't be read", source })?;
    Ok(lines)
}
