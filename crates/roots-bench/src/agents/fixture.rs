//! Fills the small and the large database for the loads of agents, and starts a server on each.

use std::error::Error;

use serde_json::{Value, json};

use crate::client::{self, RequestSpec};
use crate::fixture::{self, FILL_CONNECTIONS};
use crate::instance::RootsInstance;
use crate::load::LoadPattern;
use crate::process::ServerProcess;
use crate::requests::{self, ApiUser};

/// Todos that a worker has claimed before the measurement, those of them that it has finished, and
/// the activities that it has logged.
const CLAIMED: usize = 5;
const FINISHED: usize = 2;
const LOGGED: usize = 20;
/// Todos and as many activities of the other account.
const OTHER_ROWS: u64 = 1_000;
/// Todos on a page.
const PAGE: u64 = 20;
/// The most that an answer may have, so that a page of todos is not shortened.
const MAX_TOKENS: u64 = 8_000;

/// What an account is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountSize {
    /// Open todos.
    pub(crate) todos: u64,
    /// Activities, which are spread evenly over the ended sessions.
    pub(crate) activities: u64,
    /// Ended sessions.
    pub(crate) sessions: u64,
    /// Sessions that stay active, which claim todos.
    pub(crate) active: u64,
}

/// A filled database with a running server.
pub(crate) struct AgentServer {
    pub(crate) instance: RootsInstance,
    pub(crate) server: ServerProcess,
    /// The owner whose rows fill the database.
    pub(crate) owner: ApiUser,
    /// Ended sessions, and those that stay active.
    sessions: u64,
    active: u64,
}

impl AgentServer {
    /// Starts a server and fills its database. Every row is created through the API.
    ///
    /// # Errors
    /// The server did not start, or a response is not as expected.
    pub(crate) fn fill(instance: RootsInstance, size: AccountSize) -> Result<Self, Box<dyn Error>> {
        let AccountSize { todos, activities, sessions, active } = size;
        let server = instance.start()?;
        let owner = instance.owner()?;
        let fill = |count, requests| {
            fixture::fill(&server, FILL_CONNECTIONS, LoadPattern::Count(count), requests)
        };
        fill(sessions + active, vec![owner.start_session()])?;
        let log = (1..=sessions).map(|session| owner.log_in_session(session, "general"));
        fill(activities, log.collect())?;
        fill(todos, owner.todos_in_turn())?;
        // A brief tells what happened since the last session ended.
        fill(sessions, (1..=sessions).map(|session| owner.end_session(session)).collect())?;
        let filled = Self { instance, server, owner, sessions, active };
        filled.work()?;
        let brief = filled.send(filled.brief())?;
        if brief["has_work"] != true {
            return Err(format!("the brief shows no work: {brief}").into());
        }
        Ok(filled)
    }

    /// Does the work that a brief tells of: a session waits for a person, and another one claims
    /// todos, finishes some of them and logs activities.
    fn work(&self) -> Result<(), Box<dyn Error>> {
        let [waiting, working] = [self.sessions + 1, self.sessions + 2];
        self.send(self.owner.log_in_session(waiting, "question"))?;
        for number in 0..CLAIMED {
            let claimed = self.send(self.owner.claim(working))?;
            let todo = claimed["todo_id"].as_u64();
            let todo = todo.ok_or_else(|| format!("this is no claimed todo: {claimed}"))?;
            if number < FINISHED {
                self.send(self.owner.finish_todo(todo))?;
            }
        }
        for _ in 0..LOGGED {
            self.send(self.owner.log_in_session(working, "deploy"))?;
        }
        Ok(())
    }

    pub(crate) fn brief(&self) -> RequestSpec {
        self.owner.get("/brief")
    }

    /// Claims of all active sessions.
    pub(crate) fn claims(&self) -> Vec<RequestSpec> {
        let active = self.sessions + 1..=self.sessions + self.active;
        active.map(|session| self.owner.claim(session)).collect()
    }

    /// Claims a todo, and returns the size of the response.
    ///
    /// # Errors
    /// The response is no success.
    pub(crate) fn claim_bytes(&self) -> Result<usize, Box<dyn Error>> {
        let claim = self.owner.claim(self.sessions + 1);
        Ok(client::send_each(self.server.address, [claim])?.concat().len())
    }

    /// The number of open todos.
    ///
    /// # Errors
    /// The response has no `total`.
    pub(crate) fn open_todos(&self) -> Result<u64, Box<dyn Error>> {
        let page = self.send(self.owner.get("/todos?status=open&limit=1"))?;
        page["total"].as_u64().ok_or_else(|| format!("the list has no total: {page}").into())
    }

    /// A search of all activities.
    ///
    /// # Errors
    /// It finds something, or does not read all of them.
    pub(crate) fn search(&self) -> Result<RequestSpec, Box<dyn Error>> {
        let search = self.owner.search_in_vain();
        let found = self.send(search.clone())?;
        if found["results"] != json!([]) || found["complete"] != true {
            return Err(
                format!("the search was to read everything and find nothing: {found}").into()
            );
        }
        Ok(search)
    }

    /// Adds another account to the large database, with some todos and activities.
    ///
    /// # Errors
    /// A response is not as expected.
    pub(crate) fn add_account(&self) -> Result<OtherAccount, Box<dyn Error>> {
        let address = self.server.address;
        let account = client::send_each(address, [requests::sign_up()])?.concat();
        let owner = ApiUser::new(fixture::field(&account, "api_key")?);
        let fill = |requests| {
            let pattern = LoadPattern::Count(OTHER_ROWS);
            fixture::fill(&self.server, FILL_CONNECTIONS, pattern, requests)
        };
        fill(owner.todos_in_turn())?;
        fill(vec![owner.log_activity()])?;
        let list = owner.get(&format!("/todos?limit={PAGE}"));
        let arguments = json!({"limit": PAGE, "max_tokens": MAX_TOKENS});
        let call = owner.call_tool("list_todos", &arguments);
        let page = self.send(list.clone())?;
        let answer = self.send(call.clone())?;
        let result = &answer["result"];
        let todos = |page: &Value| page["todos"].as_array().map(Vec::len);
        if result["isError"] == true || todos(&page) != todos(&result["structuredContent"]) {
            return Err(format!("list_todos does not list what the API lists: {answer}").into());
        }
        Ok(OtherAccount { page: owner.get("/activities?limit=20"), list, call })
    }

    fn send(&self, request: RequestSpec) -> Result<Value, client::ClientError> {
        client::send_for_json(self.server.address, request)
    }
}

/// The requests of another account.
pub(crate) struct OtherAccount {
    /// A page of activities.
    pub(crate) page: RequestSpec,
    /// A page of todos, over the API and over MCP.
    pub(crate) list: RequestSpec,
    pub(crate) call: RequestSpec,
}
