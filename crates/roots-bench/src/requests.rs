//! The requests that users of the API send, and the texts in them.

use hyper::Method;
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::client::RequestSpec;

/// The types of the activities that a database is filled with.
const TYPES: [&str; 5] = ["general", "deploy", "review", "plan", "fix"];
/// The number of types.
pub(crate) const TYPES_MANY: usize = TYPES.len();
/// Times of the day at which a day's activities are logged.
pub(crate) const TIMES_A_DAY: usize = 48;
const SECONDS_A_DAY: i64 = 86_400;
/// The first day of the activities, and the number of days.
const YEAR: (Date, i64) = (Date::constant(2025, 1, 1), 365);
/// The last days of the year. Each has an activity of every type in both database sizes, so that
/// statistics of these days have as many rows in the small database as in the large one.
const LAST_DAYS: i64 = 200;

/// A description of typical length.
const DESCRIPTION: &str = "Deployed the documentation of sessions, todos and activities, and \
    looked through the logs of the last hour: nothing out of the ordinary.";
const NOTES: &str = "Working on API docs. The walk-through is done up to the activities; what is \
    left is the table of errors and the examples of each.";
const TITLE: &str = "Describe what an operator may do, and what he may not";

/// A word that no text of the benchmark has.
const ABSENT_WORD: &str = "zeppelin";
/// Todos in turn: ten of each priority.
const TODOS_IN_TURN: usize = 40;
/// Due dates in the past, and far in the future.
const OVERDUE: &str = "2025-06-01T10:00:00Z";
const DUE_LATER: &str = "2099-06-01T10:00:00Z";
/// The path of the MCP endpoint, and its revision whose requests need no handshake.
const MCP_PATH: &str = "/mcp";
const MCP_REVISION: &str = "2026-07-28";

/// The statuses that each todo goes through, again and again.
const STEPS: [&str; 3] = ["in_progress", "done", "open"];

/// A user of the API: an owner or a member, with an API key.
#[derive(Debug, Clone)]
pub(crate) struct ApiUser {
    key: String,
}

impl ApiUser {
    pub(crate) fn new(key: String) -> Self {
        Self { key }
    }

    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    /// Gets `path`, which is relative to `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> RequestSpec {
        self.request(&Method::GET, path, None)
    }

    pub(crate) fn start_session(&self) -> RequestSpec {
        self.request(&Method::POST, "/sessions", Some(&json!({"notes": NOTES})))
    }

    /// Logs an activity at the current time.
    pub(crate) fn log_activity(&self) -> RequestSpec {
        let activity = json!({"description": DESCRIPTION, "activity_type": TYPES[1]});
        self.request(&Method::POST, "/activities", Some(&activity))
    }

    /// Logs an activity with this description.
    pub(crate) fn log(&self, description: &str) -> RequestSpec {
        self.request(&Method::POST, "/activities", Some(&json!({"description": description})))
    }

    pub(crate) fn delete(&self, path: &str) -> RequestSpec {
        self.request(&Method::DELETE, path, None)
    }

    pub(crate) fn patch_priority(&self, todo: u64, priority: u32) -> RequestSpec {
        let patch = json!({"priority": priority});
        self.request(&Method::PATCH, &format!("/todos/{todo}"), Some(&patch))
    }

    /// Adds an agent to the account.
    pub(crate) fn add_agent(&self) -> RequestSpec {
        let actor = json!({"name": "bench-agent", "actor_type": "agent"});
        self.request(&Method::POST, "/actors", Some(&actor))
    }

    pub(crate) fn create_key(&self, actor: u64) -> RequestSpec {
        self.request(&Method::POST, "/keys", Some(&json!({"actor_id": actor})))
    }

    /// Renews the owner's keys.
    pub(crate) fn renew(&self) -> RequestSpec {
        self.request(&Method::POST, "/keys", Some(&json!({"actor_id": 1, "renew": true})))
    }

    pub(crate) fn create_todo(&self) -> RequestSpec {
        let todo = json!({"title": TITLE, "description": DESCRIPTION, "priority": 2});
        self.request(&Method::POST, "/todos", Some(&todo))
    }

    /// Creates open todos of all priorities, to fill a database. A tenth of them is overdue, and a
    /// tenth is due later.
    pub(crate) fn todos_in_turn(&self) -> Vec<RequestSpec> {
        let todo = |number: usize| {
            let due_at = match number % 10 {
                0 => Some(OVERDUE),
                5 => Some(DUE_LATER),
                _ => None,
            };
            let todo = json!({
                "title": TITLE,
                "description": DESCRIPTION,
                "priority": number / 10,
                "due_at": due_at,
            });
            self.request(&Method::POST, "/todos", Some(&todo))
        };
        (0..TODOS_IN_TURN).map(todo).collect()
    }

    /// Logs an activity in a session.
    pub(crate) fn log_in_session(&self, session: u64, kind: &str) -> RequestSpec {
        let activity = json!({
            "description": DESCRIPTION,
            "activity_type": kind,
            "session_id": session,
        });
        self.request(&Method::POST, "/activities", Some(&activity))
    }

    pub(crate) fn end_session(&self, session: u64) -> RequestSpec {
        let patch = json!({"status": "ended"});
        self.request(&Method::PATCH, &format!("/sessions/{session}"), Some(&patch))
    }

    /// Claims the next todo for a session.
    pub(crate) fn claim(&self, session: u64) -> RequestSpec {
        self.request(&Method::POST, "/todos/claim", Some(&json!({"session_id": session})))
    }

    pub(crate) fn start_todo(&self, todo: u64) -> RequestSpec {
        self.step_todo(todo, "in_progress")
    }

    pub(crate) fn finish_todo(&self, todo: u64) -> RequestSpec {
        self.step_todo(todo, "done")
    }

    fn step_todo(&self, todo: u64, status: &str) -> RequestSpec {
        self.request(&Method::PATCH, &format!("/todos/{todo}"), Some(&json!({"status": status})))
    }

    /// Searches all activities for a word that none has.
    pub(crate) fn search_in_vain(&self) -> RequestSpec {
        let search = json!({"q": ABSENT_WORD, "kind": "activity"});
        self.request(&Method::POST, "/search", Some(&search))
    }

    /// Calls an MCP tool in one request, without a handshake.
    pub(crate) fn call_tool(&self, tool: &str, arguments: &Value) -> RequestSpec {
        let call = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": MCP_REVISION,
                    "io.modelcontextprotocol/clientInfo": {"name": "roots-bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        });
        let headers = [
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", MCP_REVISION),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        RequestSpec {
            method: Method::POST.to_string(),
            path: MCP_PATH.to_owned(),
            key: Some(self.key.clone()),
            body: Some(call.to_string()),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }

    /// Moves the todos 1 to `todos` to their next status, one status after the other. At the end
    /// each todo has its first status again, so the requests can be repeated.
    pub(crate) fn step_todos(&self, todos: usize) -> Vec<RequestSpec> {
        let ids = 1..=todos as u64;
        STEPS.iter().flat_map(|status| ids.clone().map(|id| self.step_todo(id, status))).collect()
    }

    /// Logs the activities of a year in the order of their times, to fill the large database.
    pub(crate) fn year(&self) -> Vec<RequestSpec> {
        let day = |day| (0..TIMES_A_DAY).map(move |time| self.log_at(day, time, TYPES[time % 5]));
        (0..YEAR.1).flat_map(day).collect()
    }

    /// Logs an activity of each type on each of the last days, to fill the small database.
    pub(crate) fn last_days(&self) -> Vec<RequestSpec> {
        let day = |day| {
            let one = move |(time, kind): (usize, &&str)| self.log_at(day, time, kind);
            TYPES.iter().enumerate().map(one)
        };
        (YEAR.1 - LAST_DAYS..YEAR.1).flat_map(day).collect()
    }

    fn log_at(&self, day: i64, time: usize, kind: &str) -> RequestSpec {
        let date = day_of_year(day);
        let (hour, minute) = (time / 2, time % 2 * 30);
        let activity = json!({
            "description": DESCRIPTION,
            "activity_type": kind,
            "logged_at": format!("{date}T{hour:02}:{minute:02}:00Z"),
        });
        self.request(&Method::POST, "/activities", Some(&activity))
    }

    /// Logs the activities of the [`LAST_DAYS`] days before `now` in the order of their times:
    /// one of each type on each day, or one at each of [`TIMES_A_DAY`] times of each day.
    pub(crate) fn recent(&self, now: Timestamp, times_a_day: usize) -> Vec<RequestSpec> {
        let apart = SECONDS_A_DAY / i64::try_from(times_a_day).unwrap_or(1);
        let times = LAST_DAYS * SECONDS_A_DAY / apart;
        // None is older than the days, and none is in the future.
        let last = now.as_second() / SECONDS_A_DAY * SECONDS_A_DAY - apart;
        let log = |(time, kind): (i64, &&str)| {
            let at = Timestamp::from_second(last - (times - 1 - time) * apart).unwrap_or(now);
            let activity = json!({
                "description": DESCRIPTION,
                "activity_type": kind,
                "logged_at": at.to_string(),
            });
            self.request(&Method::POST, "/activities", Some(&activity))
        };
        (0..times).zip(TYPES.iter().cycle()).map(log).collect()
    }

    /// Reads the events behind `after`, up to now.
    pub(crate) fn events_after(&self, after: Option<&str>) -> RequestSpec {
        let mut request = self.get("/events?follow=false");
        request.headers.extend(after.map(|id| ("last-event-id".to_owned(), id.to_owned())));
        request
    }

    /// Signs a browser in.
    pub(crate) fn sign_in(&self) -> RequestSpec {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("origin", "http://localhost".to_owned()),
        ];
        RequestSpec {
            method: Method::POST.to_string(),
            path: "/sign-in".to_owned(),
            key: None,
            body: Some(format!("api_key={}", self.key)),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        }
    }

    fn request(&self, method: &Method, path: &str, body: Option<&Value>) -> RequestSpec {
        RequestSpec {
            method: method.to_string(),
            path: format!("/api/v1{path}"),
            key: Some(self.key.clone()),
            body: body.map(Value::to_string),
            headers: Vec::new(),
        }
    }
}

/// Gets a page, or the stream of a page, as the browser that was given this cookie.
pub(crate) fn page(path: &str, cookie: &str) -> RequestSpec {
    let mut request = RequestSpec::get(path.to_owned());
    request.headers.push(("cookie".to_owned(), cookie.to_owned()));
    request
}

/// The parameters `since` and `until` for the whole year.
pub(crate) fn year_query() -> String {
    format!("since={}&until={}", day_of_year(0), day_of_year(YEAR.1 - 1))
}

/// The parameters `since` and `until` for the last days.
pub(crate) fn last_days_query() -> String {
    format!("since={}&until={}", day_of_year(YEAR.1 - LAST_DAYS), day_of_year(YEAR.1 - 1))
}

/// The date of a day of the year; the first day is 0.
fn day_of_year(day: i64) -> Date {
    YEAR.0.saturating_add(Span::new().days(day))
}

/// Creates an account.
pub(crate) fn sign_up() -> RequestSpec {
    let account =
        json!({"account_name": "Bench", "actor_name": "bench-agent", "actor_type": "agent"});
    RequestSpec {
        method: Method::POST.to_string(),
        path: "/api/v1/bootstrap".to_owned(),
        key: None,
        body: Some(account.to_string()),
        headers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn days_and_types(requests: &[RequestSpec]) -> BTreeSet<(String, String)> {
        let of = |request: &RequestSpec| {
            let body: Value = serde_json::from_str(request.body.as_ref().unwrap()).unwrap();
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            (text("logged_at")[..10].to_owned(), text("activity_type"))
        };
        requests.iter().map(of).collect()
    }

    #[test]
    fn the_last_days_have_the_same_days_and_types_in_both_database_sizes() {
        let owner = ApiUser::new("key".to_owned());
        let (year, last) = (days_and_types(&owner.year()), days_and_types(&owner.last_days()));
        assert_eq!(year.len(), 365 * 5);
        assert_eq!(last.len(), 1_000);
        assert!(last.is_subset(&year));
        assert_eq!(year_query(), "since=2025-01-01&until=2025-12-31");
        assert_eq!(last_days_query(), "since=2025-06-15&until=2025-12-31");
        assert_eq!(last.first().unwrap().0, "2025-06-15");
    }

    #[test]
    fn todos_in_turn_have_every_priority_and_a_tenth_is_overdue() {
        let requests = ApiUser::new("key".to_owned()).todos_in_turn();
        let bodies: Vec<Value> = requests
            .iter()
            .map(|request| serde_json::from_str(request.body.as_ref().unwrap()).unwrap())
            .collect();
        let count =
            |is_it: &dyn Fn(&Value) -> bool| bodies.iter().filter(|todo| is_it(todo)).count();
        for priority in 0..4 {
            assert_eq!(count(&|todo| todo["priority"] == priority), 10);
        }
        assert_eq!(count(&|todo| todo["due_at"] == OVERDUE), 4);
        assert_eq!(count(&|todo| todo["due_at"].is_null()), 32);
    }

    #[test]
    fn the_headers_of_a_tool_call_repeat_what_its_body_says() {
        let call = ApiUser::new("key".to_owned()).call_tool("list_todos", &json!({"limit": 20}));
        let body: Value = serde_json::from_str(call.body.as_ref().unwrap()).unwrap();
        let header = |name: &str| {
            let found = call.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.as_str()).unwrap()
        };
        let meta = &body["params"]["_meta"];
        assert_eq!(body["method"], header("mcp-method"));
        assert_eq!(body["params"]["name"], header("mcp-name"));
        let revision = header("mcp-protocol-version");
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], revision);
        assert_eq!(body["params"]["arguments"], json!({"limit": 20}));
        assert!(call.to_http().is_ok());
    }

    #[test]
    fn the_status_changes_of_a_todo_end_at_its_first_status() {
        let requests = ApiUser::new("key".to_owned()).step_todos(2);
        let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
        assert_eq!(paths[..3], ["/api/v1/todos/1", "/api/v1/todos/2", "/api/v1/todos/1"]);
        assert_eq!(requests.last().unwrap().body.as_deref(), Some(r#"{"status":"open"}"#));
    }
}
