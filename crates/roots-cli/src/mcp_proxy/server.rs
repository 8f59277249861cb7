//! The server and the work tree: looked for once, in the background.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, connect};
use crate::error::CliError;
use crate::work_tree::WorkTree;

/// How long an answer may take. The server ends its own work after 30 s.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// The server and the work tree.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// The server.
    pub(crate) connection: Arc<Connection>,
    /// The work tree.
    pub(crate) tree: Arc<WorkTree>,
}

/// The search for the server.
#[derive(Debug)]
pub(crate) struct Search {
    /// How long finding the key and connecting may take together.
    away_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<Server>,
    /// The search that runs. It goes on when a message has given up waiting: the keyring may wait
    /// for a person.
    running: Option<oneshot::Receiver<Result<Server, CliError>>>,
}

impl Search {
    /// A search that has not begun.
    pub(crate) fn new(away_after: Duration) -> Self {
        Self { away_after, state: Mutex::default() }
    }

    /// The server. It is looked for with the first message, and again until there is a key.
    ///
    /// # Errors
    ///
    /// If there is no key, or the keyring does not give it in time.
    pub(crate) async fn server(&self) -> Result<Server, CliError> {
        let until = Instant::now() + self.away_after;
        let server = self.found(until).await?;
        let left = until.saturating_duration_since(Instant::now());
        if self.away_after.saturating_sub(left) < self.away_after / 8 {
            return Ok(server);
        }
        // The wait for the key was a part of the time in which the server has to be connected.
        let connection = server.connection.impatient(left, ANSWER_TIMEOUT)?;
        Ok(Server { connection: connection.into(), ..server })
    }

    async fn found(&self, until: Instant) -> Result<Server, CliError> {
        let mut state = timeout_at(until, self.state.lock()).await.map_err(|_| late())?;
        if let Some(server) = &state.found {
            return Ok(server.clone());
        }
        let running = match &mut state.running {
            Some(running) => running,
            none => none.insert(begin(self.away_after)?),
        };
        let found = timeout_at(until, running).await.map_err(|_| late())?;
        state.running = None;
        let server = found.map_err(|_| late())??;
        state.found = Some(server.clone());
        Ok(server)
    }
}

/// Looks for the server on a thread that ends with the process, whatever it waits for.
fn begin(away_after: Duration) -> Result<oneshot::Receiver<Result<Server, CliError>>, CliError> {
    let (sender, found) = oneshot::channel();
    let search = move || {
        // Nobody may wait any more.
        let _ = sender.send(find(away_after));
    };
    let thread = thread::Builder::new().spawn(search);
    thread.map_err(|source| CliError::System { what: "the key can't be looked for", source })?;
    Ok(found)
}

fn find(away_after: Duration) -> Result<Server, CliError> {
    let connection = connect()?.impatient(away_after, ANSWER_TIMEOUT)?;
    let tree = WorkTree::current(&connection)?;
    Ok(Server { connection: connection.into(), tree: tree.into() })
}

fn late() -> CliError {
    CliError::Failed(
        "the system's keyring does not answer: unlock it, or set ROOTS_API_KEY and ROOTS_URL"
            .to_owned(),
    )
}
