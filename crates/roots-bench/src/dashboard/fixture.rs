//! Fills the small and the large database for the dashboard, and starts a server on each.

use std::error::Error;
use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::header::SET_COOKIE;
use jiff::{Timestamp, ToSpan};

use super::reads::Read;
use super::rows::ImportedRows;
use crate::client::{self, Client, ClientError, RequestSpec};
use crate::fixture::{self, FILL_CONNECTIONS, ROWS_SMALL};
use crate::instance::RootsInstance;
use crate::load::LoadPattern;
use crate::measure::BenchPlan;
use crate::noise::{self, ImportLines};
use crate::process::ServerProcess;
use crate::requests::{self, ApiUser, TIMES_A_DAY, TYPES_MANY};
use crate::results::Engine;

/// Members of each account, beside its owner.
const AGENTS: usize = 4;
/// The most streams of a process, of an account, and of an actor or a sign-in.
pub(crate) const STREAMS: usize = 300;
const ACCOUNT_STREAMS: usize = 100;
const HOLDER_STREAMS: usize = 10;
/// Quarter hours in which imported rows begin: of the last ten days, and of the last year.
const QUARTERS_SMALL: i64 = 10 * 96;
const QUARTERS_LARGE: i64 = 365 * 96;
/// The days of which statistics are asked for. Each of their quarter hours has a row in both
/// database sizes.
const STATS_DAYS: i64 = 9;
/// Sessions in the window that is listed, and events that are read.
const WINDOW_SESSIONS: u64 = 100;
const EVENTS: usize = 20;

/// What the owner's account is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountSize {
    activities: u64,
    /// Times of each day at which activities are logged.
    times_a_day: usize,
    sessions: u64,
    todos: u64,
    quarters: i64,
}

impl AccountSize {
    /// The account in the small database: a thousand todos of each kind, because a total of overdue
    /// ones is counted up to a thousand.
    pub(crate) const SMALL: Self = Self {
        activities: ROWS_SMALL,
        times_a_day: TYPES_MANY,
        sessions: ROWS_SMALL,
        todos: 4 * ROWS_SMALL,
        quarters: QUARTERS_SMALL,
    };

    /// The account in the large database.
    pub(crate) const fn large(rows: u64) -> Self {
        let quarters = QUARTERS_LARGE;
        Self { activities: rows, times_a_day: TIMES_A_DAY, sessions: rows, todos: rows, quarters }
    }
}

/// A filled database with a running server.
pub(crate) struct DashboardServer {
    pub(crate) instance: RootsInstance,
    pub(crate) server: ServerProcess,
    /// The owner whose rows fill the database.
    pub(crate) owner: ApiUser,
    cookie: String,
    rows: ImportedRows,
}

impl DashboardServer {
    /// Starts a server and fills its database. Every row is created through the API: activities one
    /// by one, sessions and todos by an import.
    ///
    /// # Errors
    /// The server did not start, or a response is not as expected.
    pub(crate) fn fill(
        plan: &BenchPlan,
        (engine, size_name, url): (Engine, &str, Option<String>),
        size: AccountSize,
    ) -> Result<Self, Box<dyn Error>> {
        let name = format!("{} dashboard {size_name}", engine.name());
        let folder = plan.folder.join(&name);
        let instance = RootsInstance::new(name, &plan.program, folder, url)?;
        let server = instance.start()?;
        let address = server.address;
        let owner = instance.owner()?;
        let now = Timestamp::now();
        let activities = owner.recent(now, size.times_a_day);
        let pattern = LoadPattern::Spread(size.activities);
        fixture::fill(&server, FILL_CONNECTIONS, pattern, activities)?;
        let today = Timestamp::from_second(now.as_second() / 86_400 * 86_400)?;
        let AccountSize { sessions, todos, quarters, .. } = size;
        let rows = ImportedRows { end: today, quarters, sessions, todos };
        let lines = ImportLines::new(move |row| rows.line(row)).take(rows.all());
        noise::import_blocking(address, &owner.key(), lines)?;
        let mut workers = add_agents(address, &owner)?;
        workers.push(owner.clone());
        for worker in &workers {
            work(address, worker)?;
        }
        let cookie = sign_in(address, &owner)?;
        let filled = Self { instance, server, owner, cookie, rows };
        filled.check_lists(sessions)?;
        Ok(filled)
    }

    /// Checks that the lists that are compared have rows.
    fn check_lists(&self, sessions: u64) -> Result<(), Box<dyn Error>> {
        for (read, rows) in [
            (Read::SessionsActiveSince, "sessions"),
            (Read::SessionsStarted, "sessions"),
            (Read::TodosOverdue, "todos"),
            (Read::TodosDone, "todos"),
            (Read::TodoStats, "by_day"),
            (Read::CreditStats, "by_day"),
        ] {
            let page = client::send_for_json(self.server.address, self.request(read)?)?;
            let many = page[rows].as_array().map_or(0, Vec::len);
            let expected = if rows == "by_day" { 1 } else { 20 };
            if many < expected {
                return Err(
                    format!("{read:?} has {many} rows of {sessions} sessions: {page}").into()
                );
            }
        }
        Ok(())
    }

    /// A request that reads this.
    ///
    /// # Errors
    /// The last event is not known.
    pub(crate) fn request(&self, read: Read) -> Result<RequestSpec, Box<dyn Error>> {
        let owner = &self.owner;
        let window = self.rows.start_before(WINDOW_SESSIONS);
        let end = self.rows.end;
        let days = end.checked_sub((24 * STATS_DAYS).hours())?;
        let last = end.checked_sub(1.second())?;
        Ok(match read {
            Read::Now => requests::page("/", &self.cookie),
            Read::Events => {
                let address = self.server.address;
                let begun = client::send_each(address, [owner.events_after(None)])?.concat();
                let begun = String::from_utf8_lossy(&begun).into_owned();
                let id = begun.lines().find_map(|line| line.strip_prefix("id: "));
                let id = id.ok_or_else(|| format!("the stream has no id: {begun}"))?;
                client::send_each(address, (0..EVENTS).map(|_| owner.log_activity()))?;
                owner.events_after(Some(id))
            }
            Read::SessionsActiveSince => owner.get(&format!("/sessions?active_since={window}")),
            Read::SessionsStarted => owner.get(&format!("/sessions?since={window}&until={last}")),
            Read::TodosOverdue => owner.get("/todos?overdue=true"),
            Read::TodosDone => owner.get("/todos?status=done&sort=status_since"),
            Read::TodoStats => owner.get(&format!("/todos/stats?since={days}&until={last}")),
            Read::CreditStats => owner.get(&format!("/credits/stats?since={days}")),
        })
    }

    /// Adds the accounts that streams watch.
    ///
    /// # Errors
    /// A response is not as expected.
    pub(crate) fn add_teams(&self) -> Result<Vec<Team>, Box<dyn Error>> {
        let address = self.server.address;
        let team = |_| {
            let account = client::send_each(address, [requests::sign_up()])?.concat();
            let owner = ApiUser::new(fixture::field(&account, "api_key")?);
            let agents = add_agents(address, &owner)?;
            let sign_ins = 0..ACCOUNT_STREAMS / HOLDER_STREAMS - (AGENTS + 1);
            let cookies = sign_ins.map(|_| sign_in(address, &owner)).collect::<Result<_, _>>()?;
            Ok(Team { owner, agents, cookies })
        };
        (0..STREAMS / ACCOUNT_STREAMS).map(team).collect()
    }
}

/// An account whose people look at pages while its agents write.
pub(crate) struct Team {
    pub(crate) owner: ApiUser,
    agents: Vec<ApiUser>,
    /// The sign-ins of the owner.
    cookies: Vec<String>,
}

impl Team {
    /// A sign-in of the owner.
    pub(crate) fn cookie(&self) -> &str {
        self.cookies.first().map_or("", String::as_str)
    }

    fn actors(&self) -> impl Iterator<Item = &ApiUser> {
        [&self.owner].into_iter().chain(&self.agents)
    }
}

/// A write of each actor.
pub(crate) fn writes(teams: &[Team]) -> Vec<RequestSpec> {
    teams.iter().flat_map(Team::actors).map(ApiUser::log_activity).collect()
}

/// As many streams as a process takes: half of them of pages, and half of the API.
pub(crate) fn streams(teams: &[Team]) -> Vec<RequestSpec> {
    let of = |team: &Team| {
        let api = team.actors().map(|actor| actor.get("/events"));
        let pages = team.cookies.iter().map(|cookie| requests::page("/events", cookie));
        api.chain(pages).collect::<Vec<_>>()
    };
    let each = teams.iter().flat_map(of);
    each.flat_map(|request| std::iter::repeat_n(request, HOLDER_STREAMS)).collect()
}

/// Adds agents with keys to the owner's account.
fn add_agents(address: SocketAddr, owner: &ApiUser) -> Result<Vec<ApiUser>, Box<dyn Error>> {
    let agent = |_| {
        let actor = id(address, owner.add_agent(), "actor_id")?;
        let key = client::send_each(address, [owner.create_key(actor)])?.concat();
        Ok(ApiUser::new(fixture::field(&key, "api_key")?))
    };
    (0..AGENTS).map(agent).collect()
}

/// Starts a session with a todo in progress and an activity.
fn work(address: SocketAddr, worker: &ApiUser) -> Result<(), Box<dyn Error>> {
    let session = id(address, worker.start_session(), "session_id")?;
    let todo = id(address, worker.create_todo(), "todo_id")?;
    let start = worker.start_todo(todo);
    client::send_each(address, [start, worker.log_in_session(session, "deploy")])?;
    Ok(())
}

fn id(
    address: SocketAddr,
    request: RequestSpec,
    field: &'static str,
) -> Result<u64, Box<dyn Error>> {
    let made = client::send_for_json(address, request)?;
    made[field].as_u64().ok_or_else(|| format!("the response has no {field}: {made}").into())
}

/// Signs in as a browser does, and returns its cookie.
fn sign_in(address: SocketAddr, user: &ApiUser) -> Result<String, Box<dyn Error>> {
    let request = user.sign_in();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let response =
        runtime.block_on(async { Client::open(address).await?.send(request.to_http()?).await });
    let response = response?;
    if response.status != StatusCode::SEE_OTHER {
        let refused: ClientError = client::unexpected(&request, response.status, &response.body);
        return Err(refused.into());
    }
    let cookie = response.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next());
    Ok(cookie.ok_or("the sign-in set no cookie")?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn streams_fill_a_process_with_ten_for_each_actor_and_sign_in() {
        let team = |team| Team {
            owner: ApiUser::new(format!("{team}")),
            agents: (0..AGENTS).map(|agent| ApiUser::new(format!("{team}.{agent}"))).collect(),
            cookies: (0..5).map(|cookie| format!("{team}={cookie}")).collect(),
        };
        let teams = [team(1), team(2), team(3)];
        let requests = streams(&teams);
        assert_eq!(requests.len(), STREAMS);
        let mut holders = BTreeMap::new();
        for RequestSpec { path, key, headers, .. } in requests {
            *holders.entry((path, key, headers)).or_insert(0) += 1;
        }
        assert!(holders.len() == 30 && holders.values().all(|many| *many == HOLDER_STREAMS));
        assert_eq!(writes(&teams).len(), 15);
    }
}
