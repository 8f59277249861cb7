//! Fills the small and the large database, and starts a server on each.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{self, ClientError, RequestSpec};
use crate::instance::{InstanceError, RootsInstance};
use crate::latency::number;
use crate::load::{LoadPattern, LoadReport, LoadRequest};
use crate::process::{self, ProcessError, ServerProcess};
use crate::requests::{self, ApiUser};
use crate::results::Engine;

/// Activities in the small database: one of each type on each of 200 days.
pub(crate) const ROWS_SMALL: u64 = 1_000;
/// Todos and sessions that the loads use. There are at least as many as connections, so that no two
/// requests at a time are about the same one.
const TODOS: usize = 2_048;
const SESSIONS: usize = 64;
/// The actor id of an account's owner.
const OWNER: u64 = 1;
/// Connections that send requests with cold keys.
const COLD_CONNECTIONS: usize = 32;
/// Connections that fill a database: enough to fill each batch.
pub(crate) const FILL_CONNECTIONS: usize = 128;
/// The idle memory is read this long after the start.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(2);

/// Why a database could not be filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FixtureError {
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the response has no {field}: {response}")]
    MissingField { field: &'static str, response: String },
}

/// A filled database with a running server.
pub(crate) struct FilledServer {
    pub(crate) instance: RootsInstance,
    pub(crate) server: ServerProcess,
    /// The owner whose activities fill the database.
    pub(crate) owner: ApiUser,
    /// The cursor of the page behind 90 % of the activities.
    pub(crate) deep_cursor: String,
}

impl FilledServer {
    /// Starts a server and fills its database with `rows` activities of one actor.
    fn fill(
        instance: RootsInstance,
        rows: u64,
        requests: impl Fn(&ApiUser) -> Vec<RequestSpec>,
    ) -> Result<Self, FixtureError> {
        let server = instance.start()?;
        let owner = instance.owner()?;
        fill(&server, FILL_CONNECTIONS, LoadPattern::Spread(rows), requests(&owner))?;
        let deep_cursor = owner.get(&format!("/activities?limit=1&offset={}", rows / 10 * 9));
        let deep_cursor = field(&send(&server, deep_cursor)?, "next_cursor")?;
        Ok(Self { instance, server, owner, deep_cursor })
    }
}

/// What to create.
pub(crate) struct FixturePlan<'a> {
    pub(crate) engine: Engine,
    /// The program to measure.
    pub(crate) program: &'a Path,
    /// The folder for the files of both instances.
    pub(crate) folder: &'a Path,
    /// Empty PostgreSQL databases: the small one and the large one.
    pub(crate) databases: Option<[String; 2]>,
    /// Activities in the large database.
    pub(crate) rows: u64,
    pub(crate) accounts: usize,
    pub(crate) starts: usize,
    /// Accounts that send a request with a cold key after each start.
    pub(crate) cold_accounts: usize,
}

/// The server's processor time, in microseconds, for a request with a cold key and with a warm one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColdKeyCost {
    pub(crate) cold_micros: f64,
    pub(crate) warm_micros: f64,
}

/// The filled databases of one engine. All loads go to the large one; the small one is only
/// compared with it.
pub(crate) struct EngineFixture {
    pub(crate) engine: Engine,
    pub(crate) small: FilledServer,
    pub(crate) large: FilledServer,
    /// The owner of a separate account in the large database, which loads write to.
    pub(crate) writer: ApiUser,
    /// The owners of many more accounts.
    pub(crate) crowd: Vec<ApiUser>,
    /// Seconds from each start of the large server to its first response.
    pub(crate) starts: Vec<f64>,
    /// The cost of a cold key, by start.
    pub(crate) cold: Vec<ColdKeyCost>,
    /// Resident memory of the large server before its first request.
    pub(crate) idle_mib: f64,
}

impl EngineFixture {
    /// Fills both databases.
    pub(crate) fn create(plan: FixturePlan) -> Result<Self, FixtureError> {
        let FixturePlan { engine, program, folder, databases, rows, .. } = plan;
        let FixturePlan { accounts, starts, cold_accounts, .. } = plan;
        let [small, large] = match databases {
            Some([small, large]) => [Some(small), Some(large)],
            None => [None, None],
        };
        let instance = |size: &str, url| {
            let name = format!("{} {size}", engine.name());
            let folder = folder.join(&name);
            RootsInstance::new(name, program, folder, url)
        };
        let small = FilledServer::fill(instance("small", small)?, ROWS_SMALL, ApiUser::last_days)?;
        let mut large = FilledServer::fill(instance("large", large)?, rows, ApiUser::year)?;

        let sign_ups = (0..=accounts.max(cold_accounts)).map(|_| requests::sign_up());
        let mut owners = Vec::new();
        for response in client::send_each(large.server.address, sign_ups)? {
            owners.push(ApiUser::new(field(&response, "api_key")?));
        }
        let writer = owners.swap_remove(0);
        fill(&large.server, FILL_CONNECTIONS, count(TODOS), vec![writer.create_todo()])?;
        fill(&large.server, FILL_CONNECTIONS, count(SESSIONS), vec![writer.start_session()])?;
        let cold_owners = owners[..cold_accounts].to_vec();
        owners.truncate(accounts);

        large.server.stop()?;
        let begin = || -> Result<(ServerProcess, f64), FixtureError> {
            let begun = Instant::now();
            let server = large.instance.start()?;
            send(&server, large.owner.get("/activities?limit=20"))?;
            Ok((server, begun.elapsed().as_secs_f64()))
        };
        let mut times = Vec::new();
        for _ in 0..starts {
            let (server, took) = begin()?;
            times.push(took);
            server.stop()?;
        }
        // This server is killed: a shutdown would store for each account, one after the other, when
        // its key was used.
        let (server, _) = begin()?;
        let sessions = cold_owners.iter().map(ApiUser::start_session).collect();
        fill(&server, FILL_CONNECTIONS, count(cold_accounts), sessions)?;
        let mut second_keys = Vec::new();
        let keys = cold_owners.iter().map(|owner| owner.create_key(OWNER));
        for response in client::send_each(server.address, keys)? {
            second_keys.push(ApiUser::new(field(&response, "api_key")?));
        }
        drop(server);
        let mut costs = Vec::new();
        for _ in 0..starts {
            let (server, _) = begin()?;
            costs.push(cold_and_warm(&server, &cold_owners, &second_keys)?);
        }
        large.server = large.instance.start()?;
        thread::sleep(IDLE_TIME);
        let idle_mib = large.server.memory()?.now;
        let (crowd, starts) = (owners, times);
        Ok(Self { engine, small, large, writer, crowd, starts, cold: costs, idle_mib })
    }

    /// Requests that move every todo through all statuses.
    pub(crate) fn step_todos(&self) -> Vec<RequestSpec> {
        self.writer.step_todos(TODOS)
    }

    pub(crate) fn get_sessions(&self) -> Vec<RequestSpec> {
        (1..=SESSIONS).map(|id| self.writer.get(&format!("/sessions/{id}"))).collect()
    }

    /// The size of the large server's response to this request.
    pub(crate) fn response_bytes(&self, request: RequestSpec) -> Result<usize, FixtureError> {
        Ok(client::send_each(self.large.server.address, [request])?.concat().len())
    }

    /// Stops the servers and verifies the databases.
    pub(crate) fn verify(self) -> Result<(), FixtureError> {
        for FilledServer { instance, server, .. } in [self.small, self.large] {
            server.stop()?;
            instance.verify()?;
        }
        Ok(())
    }
}

/// Sends a request with each cold key to a server that was just started, and once more with the
/// same keys, which are then warm. The same actors first send a request with their other keys, so
/// that only the keys are cold: database connections are open and rate limits know the actors.
fn cold_and_warm(
    server: &ServerProcess,
    first_keys: &[ApiUser],
    second_keys: &[ApiUser],
) -> Result<ColdKeyCost, ProcessError> {
    let micros = |owners: &[ApiUser]| {
        let requests = owners.iter().map(|owner| owner.get("/sessions/1")).collect();
        let report = send_cold_load(server, requests)?;
        Ok::<_, ProcessError>(report.server_cpu * 1_000_000.0 / number(report.good.count))
    };
    micros(first_keys)?;
    Ok(ColdKeyCost { cold_micros: micros(second_keys)?, warm_micros: micros(second_keys)? })
}

fn send_cold_load(
    server: &ServerProcess,
    requests: Vec<RequestSpec>,
) -> Result<LoadReport, ProcessError> {
    let (servers, pattern) = (vec![server.loaded()], count(requests.len()));
    let connections = COLD_CONNECTIONS;
    process::load(&LoadRequest { servers, connections, pattern, requests, first: 0 })
}

/// A load of this number of requests.
pub(crate) fn count(of: usize) -> LoadPattern {
    LoadPattern::Count(of as u64)
}

/// Sends requests over many connections, to fill a database.
///
/// # Errors
/// The load generator failed, or a response was no success.
pub(crate) fn fill(
    server: &ServerProcess,
    connections: usize,
    pattern: LoadPattern,
    requests: Vec<RequestSpec>,
) -> Result<(), ProcessError> {
    let servers = vec![server.loaded()];
    let report = process::load(&LoadRequest { servers, connections, pattern, requests, first: 0 })?;
    eprintln!("  {} at {:.0} a second", report.good.count, report.rate());
    Ok(())
}

fn send(server: &ServerProcess, request: RequestSpec) -> Result<Vec<u8>, ClientError> {
    Ok(client::send_each(server.address, [request])?.concat())
}

/// The text of a field of a response.
///
/// # Errors
/// The response has no such text.
pub(crate) fn field(response: &[u8], field: &'static str) -> Result<String, FixtureError> {
    let value: Option<Value> = serde_json::from_slice(response).ok();
    let found = value.as_ref().and_then(|value| value[field].as_str());
    found.map(str::to_owned).ok_or_else(|| FixtureError::MissingField {
        field,
        response: String::from_utf8_lossy(response).into_owned(),
    })
}
