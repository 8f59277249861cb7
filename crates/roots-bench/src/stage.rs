//! One of the databases that Roots runs on, filled, and a server on it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::asks::{self, Owner};
use crate::client::{self, Ask, ClientError};
use crate::latency::number;
use crate::load::{Order, Pace, Told};
use crate::process::{self, ProcessError, Server};
use crate::results::Engine;
use crate::roots::{Roots, RootsError};

/// Activities in the small database: one of each type on each of its days.
pub(crate) const ROWS_SMALL: u64 = 1_000;
/// Todos and sessions that loads go over, so that no two at a time meet on one.
const TODOS: usize = 2_048;
const SESSIONS: usize = 64;
/// The number of an account's owner.
const OWNER: u64 = 1;
/// Connections that ask with cold keys.
const COLD_CONNECTIONS: usize = 32;
/// Connections that fill a database: as many as make batches full.
const FILLERS: usize = 128;
/// A process that was started lies idle for so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Why a database could not be filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error(transparent)]
    Roots(#[from] RootsError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the answer holds no {field}: {answer}")]
    Lacks { field: &'static str, answer: String },
}

/// A server on a filled database, and an owner whose activities fill it.
pub(crate) struct Side {
    pub(crate) roots: Roots,
    pub(crate) server: Server,
    pub(crate) owner: Owner,
    /// The cursor of a page behind nine tenths of them.
    pub(crate) deep: String,
}

impl Side {
    /// Fills an empty database with so many activities of one actor.
    fn fill(
        roots: Roots,
        rows: u64,
        asks: impl Fn(&Owner) -> Vec<Ask>,
    ) -> Result<Self, StageError> {
        let server = roots.start()?;
        let owner = roots.owner()?;
        load(&server, FILLERS, Pace::Spread(rows), asks(&owner))?;
        let deep = owner.get(&format!("/activities?limit=1&offset={}", rows / 10 * 9));
        let deep = field(&ask(&server, deep)?, "next_cursor")?;
        Ok(Self { roots, server, owner, deep })
    }
}

/// What a stage is made of.
pub(crate) struct Script<'a> {
    pub(crate) engine: Engine,
    /// The program to measure.
    pub(crate) program: &'a Path,
    /// For files.
    pub(crate) folder: &'a Path,
    /// An empty database for the small side, and one for the large side.
    pub(crate) databases: Option<[String; 2]>,
    /// Activities of the large side.
    pub(crate) rows: u64,
    pub(crate) accounts: usize,
    pub(crate) starts: usize,
    /// Accounts that are asked with a key which the process does not know yet.
    pub(crate) cold: usize,
}

/// Microseconds of the server's processor time a request with a cold key, and with a warm one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cold {
    pub(crate) cold_micros: f64,
    pub(crate) warm_micros: f64,
}

/// A filled database in two sizes. All loads go to the large one; the small one is there to be compared
/// with.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) small: Side,
    pub(crate) large: Side,
    /// An account beside the one that fills the large database.
    pub(crate) busy: Owner,
    /// Many more.
    pub(crate) crowd: Vec<Owner>,
    /// Seconds from each start of the large server to its first answer.
    pub(crate) starts: Vec<f64>,
    /// What a cold key costs, start by start.
    pub(crate) cold: Vec<Cold>,
    /// Resident memory of the large server before it was asked anything.
    pub(crate) idle_mib: f64,
}

impl Stage {
    /// Fills both sizes.
    pub(crate) fn set(script: Script) -> Result<Self, StageError> {
        let Script { engine, program, folder, databases, rows, accounts, starts, cold } = script;
        let [small, large] = match databases {
            Some([small, large]) => [Some(small), Some(large)],
            None => [None, None],
        };
        let roots = |size: &str, url| {
            let name = format!("{} {size}", engine.name());
            let folder = folder.join(&name);
            Roots::new(name, program, folder, url)
        };
        let small = Side::fill(roots("small", small)?, ROWS_SMALL, Owner::last_days)?;
        let mut large = Side::fill(roots("large", large)?, rows, Owner::year)?;

        let sign_ups = (0..=accounts.max(cold)).map(|_| asks::sign_up());
        let mut owners = Vec::new();
        for answer in client::ask_each(large.server.address, sign_ups)? {
            owners.push(Owner::new(field(&answer, "api_key")?));
        }
        let busy = owners.swap_remove(0);
        load(&large.server, FILLERS, count(TODOS), vec![busy.create_todo()])?;
        load(&large.server, FILLERS, count(SESSIONS), vec![busy.start_session()])?;
        let strangers = owners[..cold].to_vec();
        owners.truncate(accounts);

        large.server.stop()?;
        let begin = || -> Result<(Server, f64), StageError> {
            let begun = Instant::now();
            let server = large.roots.start()?;
            ask(&server, large.owner.get("/activities?limit=20"))?;
            Ok((server, begun.elapsed().as_secs_f64()))
        };
        let mut times = Vec::new();
        for _ in 0..starts {
            let (server, took) = begin()?;
            times.push(took);
            server.stop()?;
        }
        // Killed: at its end it would note for each account when its key was used, one after the other.
        let (server, _) = begin()?;
        let sessions = strangers.iter().map(Owner::start_session).collect();
        load(&server, FILLERS, count(cold), sessions)?;
        let mut second_keys = Vec::new();
        let keys = strangers.iter().map(|owner| owner.make_key(OWNER));
        for answer in client::ask_each(server.address, keys)? {
            second_keys.push(Owner::new(field(&answer, "api_key")?));
        }
        drop(server);
        let mut costs = Vec::new();
        for _ in 0..starts {
            let (server, _) = begin()?;
            costs.push(cold_and_warm(&server, &strangers, &second_keys)?);
        }
        large.server = large.roots.start()?;
        thread::sleep(IDLE);
        let idle_mib = large.server.memory()?.now;
        let (crowd, starts) = (owners, times);
        Ok(Self { engine, small, large, busy, crowd, starts, cold: costs, idle_mib })
    }

    /// Every step of every todo, from where they stand first.
    pub(crate) fn step_todos(&self) -> Vec<Ask> {
        self.busy.step_todos(TODOS)
    }

    pub(crate) fn get_sessions(&self) -> Vec<Ask> {
        (1..=SESSIONS).map(|id| self.busy.get(&format!("/sessions/{id}"))).collect()
    }

    /// How many bytes the large server answers with.
    pub(crate) fn answer_bytes(&self, ask: Ask) -> Result<usize, StageError> {
        Ok(client::ask_each(self.large.server.address, [ask])?.concat().len())
    }

    /// Ends the servers, and proves that everything adds up.
    pub(crate) fn strike(self) -> Result<(), StageError> {
        for Side { roots, server, .. } in [self.small, self.large] {
            server.stop()?;
            roots.verify()?;
        }
        Ok(())
    }
}

/// Asks a server that was just started with a key of each account that it does not know yet, and then
/// with the same ones again. The same actors have asked with their first keys before, so that nothing
/// but the keys is cold: connections to the database are open, and limits know the actors.
fn cold_and_warm(
    server: &Server,
    first_keys: &[Owner],
    second_keys: &[Owner],
) -> Result<Cold, ProcessError> {
    let micros = |owners: &[Owner]| {
        let asks = owners.iter().map(|owner| owner.get("/sessions/1")).collect();
        let told = ask_all(server, asks)?;
        Ok::<_, ProcessError>(told.server_cpu * 1_000_000.0 / number(told.good.count))
    };
    micros(first_keys)?;
    Ok(Cold { cold_micros: micros(second_keys)?, warm_micros: micros(second_keys)? })
}

fn ask_all(server: &Server, asks: Vec<Ask>) -> Result<Told, ProcessError> {
    let (address, id, pace) = (server.address, server.id(), count(asks.len()));
    let connections = COLD_CONNECTIONS;
    process::load(&Order { address, server: id, connections, pace, asks, first: 0 })
}

fn count(of: usize) -> Pace {
    Pace::Count(of as u64)
}

fn load(
    server: &Server,
    connections: usize,
    pace: Pace,
    asks: Vec<Ask>,
) -> Result<(), ProcessError> {
    let order =
        Order { address: server.address, server: server.id(), connections, pace, asks, first: 0 };
    let told = process::load(&order)?;
    eprintln!("  {} at {:.0} a second", told.good.count, told.rate());
    Ok(())
}

fn ask(server: &Server, ask: Ask) -> Result<Vec<u8>, ClientError> {
    Ok(client::ask_each(server.address, [ask])?.concat())
}

/// A text in an answer.
fn field(answer: &[u8], field: &'static str) -> Result<String, StageError> {
    let value: Option<Value> = serde_json::from_slice(answer).ok();
    let found = value.as_ref().and_then(|value| value[field].as_str());
    found.map(str::to_owned).ok_or_else(|| StageError::Lacks {
        field,
        answer: String::from_utf8_lossy(answer).into_owned(),
    })
}
