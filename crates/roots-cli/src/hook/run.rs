//! Runs the hook: within 2 seconds, and without an error for the program that started it.

use std::env;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::connection::{Connection, connect};
use crate::error::CliError;
use crate::hook::input::{Dialect, Event, ProgramSession};
use crate::hook::known::KnownSessions;
use crate::hook::session::Place;
use crate::hook::text;
use crate::output::line;
use crate::work_tree::WorkTree;

/// What is left of the time when the server has given its answers.
const RESERVE: Duration = Duration::from_millis(100);
/// How many answers come one after the other: a session that has ended, another one, and the brief.
const ANSWERS: u32 = 3;
/// The variable in which Claude Code names a file to a hook. It runs the lines of that file before
/// each command of the agent.
const ENVIRONMENT_FILE: &str = "CLAUDE_ENV_FILE";
/// The most bytes of input.
const INPUT_MAX_BYTES: u64 = 1 << 20;

/// Something that the worker got done.
enum Progress {
    Understood(Event),
    Done(Result<Option<String>, CliError>),
}

/// Reads the input of a hook, takes part, and writes its answer if the program wants one. It does
/// not fail: what goes wrong is a line for the agent. It answers within `time`, with or without the
/// server.
pub(crate) fn run(time: Duration) {
    let deadline = Instant::now() + time;
    let timeout = time.saturating_sub(RESERVE) / ANSWERS;
    let (sender, progress) = mpsc::channel();
    // Reading, the keyring and the file system may all wait for others. A thread that waits for
    // them ends with the process.
    let worker = thread::Builder::new().spawn(move || work(timeout, &sender));
    let mut event = Event::Other;
    let mut done = match worker {
        Ok(_) => None,
        Err(source) => Some(Err(CliError::System { what: "the hook can't start", source })),
    };
    while done.is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        match progress.recv_timeout(left) {
            Ok(Progress::Understood(understood)) => event = understood,
            Ok(Progress::Done(result)) => done = Some(result),
            Err(_) => break,
        }
    }
    if let Some(answer) = answer(&event, done) {
        // A program that does not read its answer needs none.
        let _ = line(&answer);
    }
}

/// What to write.
fn answer(event: &Event, done: Option<Result<Option<String>, CliError>>) -> Option<String> {
    let Event::Start(_, dialect) = event else { return None };
    let text = match done {
        Some(Ok(text)) => text?,
        Some(Err(error)) => text::away(&error.sentence()),
        None => text::away("it took too long"),
    };
    Some(Dialect::answer(*dialect, &text).to_string())
}

fn work(timeout: Duration, progress: &Sender<Progress>) {
    let mut input = Vec::new();
    // Half an input is none.
    let _ = io::stdin().lock().take(INPUT_MAX_BYTES).read_to_end(&mut input);
    let event = Event::parse(&input);
    // Nobody hears what comes after the deadline.
    let _ = progress.send(Progress::Understood(event.clone()));
    let done = if event == Event::Other { Ok(None) } else { take_part(&event, timeout) };
    let _ = progress.send(Progress::Done(done));
}

fn take_part(event: &Event, timeout: Duration) -> Result<Option<String>, CliError> {
    let connection = connect()?.impatient(timeout, timeout)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|source| CliError::System { what: "the hook can't start", source })?;
    runtime.block_on(respond(event, connection))
}

/// Takes part in what happened, and gives the text for the agent.
async fn respond(event: &Event, connection: Connection) -> Result<Option<String>, CliError> {
    match event {
        Event::Start(program, dialect) => {
            let file = env::var_os(ENVIRONMENT_FILE).filter(|file| !file.is_empty());
            let file = file.filter(|_| *dialect == Dialect::Claude).map(PathBuf::from);
            place(program, connection, file)?.start(&program.id).await.map(Some)
        }
        Event::End(program) => {
            place(program, connection, None)?.end(&program.id).await.map(|()| None)
        }
        Event::Other => Ok(None),
    }
}

/// Where the program works.
fn place(
    program: &ProgramSession,
    connection: Connection,
    environment_file: Option<PathBuf>,
) -> Result<Place, CliError> {
    let tree = match program.folder.as_deref().filter(|folder| Path::is_dir(folder)) {
        Some(folder) => WorkTree::of(folder, &connection),
        None => WorkTree::current(&connection),
    }?;
    let known = KnownSessions::of(&connection)?;
    Ok(Place { client: connection.client, tree, known, environment_file })
}
