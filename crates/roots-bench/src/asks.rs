//! What is asked: the requests of an account's owner, and the texts in them.

use hyper::Method;
use jiff::Span;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::client::Ask;

/// The types of the activities that a database is filled with.
const TYPES: [&str; 5] = ["general", "deploy", "review", "plan", "fix"];
/// Activities of a day that differ, in a filled database: each type, at so many times of the day.
const TIMES_A_DAY: usize = 48;
/// The days that they lie on.
const YEAR: (Date, i64) = (Date::constant(2025, 1, 1), 365);
/// The last ones of these days; with an activity of each type on each of them, even the small database
/// answers their statistics as the large one does.
const LAST_DAYS: i64 = 200;

/// As long as a sentence or two.
const DESCRIPTION: &str = "Deployed the documentation of sessions, todos and activities, and \
    looked through the logs of the last hour: nothing out of the ordinary.";
const NOTES: &str = "Working on API docs. The walk-through is done up to the activities; what is \
    left is the table of errors and the examples of each.";
const TITLE: &str = "Describe what an operator may do, and what he may not";

/// The steps that a todo is taken through, over and over.
const STEPS: [&str; 3] = ["in_progress", "done", "open"];

/// The owner of an account.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    key: String,
}

impl Owner {
    pub(crate) fn new(key: String) -> Self {
        Self { key }
    }

    /// The key, as it is shown.
    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    /// A read of `path`, below the API's own.
    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask(&Method::GET, path, None)
    }

    pub(crate) fn start_session(&self) -> Ask {
        self.ask(&Method::POST, "/sessions", Some(&json!({"notes": NOTES})))
    }

    /// Logs an activity that happens now.
    pub(crate) fn log_activity(&self) -> Ask {
        let activity = json!({"description": DESCRIPTION, "activity_type": TYPES[1]});
        self.ask(&Method::POST, "/activities", Some(&activity))
    }

    /// Logs an activity of that description.
    pub(crate) fn log(&self, description: &str) -> Ask {
        self.ask(&Method::POST, "/activities", Some(&json!({"description": description})))
    }

    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask(&Method::DELETE, path, None)
    }

    pub(crate) fn patch_priority(&self, todo: u64, priority: u32) -> Ask {
        let patch = json!({"priority": priority});
        self.ask(&Method::PATCH, &format!("/todos/{todo}"), Some(&patch))
    }

    /// Adds a member to the account.
    pub(crate) fn add_agent(&self) -> Ask {
        let actor = json!({"name": "quiet-agent", "actor_type": "agent"});
        self.ask(&Method::POST, "/actors", Some(&actor))
    }

    pub(crate) fn make_key(&self, actor: u64) -> Ask {
        self.ask(&Method::POST, "/keys", Some(&json!({"actor_id": actor})))
    }

    /// Renews the keys of the owner.
    pub(crate) fn renew(&self) -> Ask {
        self.ask(&Method::POST, "/keys", Some(&json!({"actor_id": 1, "renew": true})))
    }

    pub(crate) fn create_todo(&self) -> Ask {
        let todo = json!({"title": TITLE, "description": DESCRIPTION, "priority": 2});
        self.ask(&Method::POST, "/todos", Some(&todo))
    }

    /// The todos from 1 to that one, each to its next status, in turn; so that at the end all are
    /// where they began.
    pub(crate) fn step_todos(&self, todos: usize) -> Vec<Ask> {
        let step = |status, id| {
            self.ask(&Method::PATCH, &format!("/todos/{id}"), Some(&json!({"status": status})))
        };
        STEPS.iter().flat_map(|status| (1..=todos).map(move |id| step(status, id))).collect()
    }

    /// The activities of a year, rising, for a database that is filled.
    pub(crate) fn year(&self) -> Vec<Ask> {
        let day = |day| (0..TIMES_A_DAY).map(move |time| self.past(day, time, TYPES[time % 5]));
        (0..YEAR.1).flat_map(day).collect()
    }

    /// An activity of each type on each of the last days.
    pub(crate) fn last_days(&self) -> Vec<Ask> {
        let day = |day| {
            let one = move |(time, kind): (usize, &&str)| self.past(day, time, kind);
            TYPES.iter().enumerate().map(one)
        };
        (YEAR.1 - LAST_DAYS..YEAR.1).flat_map(day).collect()
    }

    fn past(&self, day: i64, time: usize, kind: &str) -> Ask {
        let date = day_of_year(day);
        let (hour, minute) = (time / 2, time % 2 * 30);
        let activity = json!({
            "description": DESCRIPTION,
            "activity_type": kind,
            "logged_at": format!("{date}T{hour:02}:{minute:02}:00Z"),
        });
        self.ask(&Method::POST, "/activities", Some(&activity))
    }

    fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Ask {
        Ask {
            method: method.to_string(),
            path: format!("/api/v1{path}"),
            key: Some(self.key.clone()),
            body: body.map(Value::to_string),
        }
    }
}

/// The `since` and `until` of the whole year.
pub(crate) fn the_year() -> String {
    format!("since={}&until={}", day_of_year(0), day_of_year(YEAR.1 - 1))
}

/// The `since` and `until` of its last days.
pub(crate) fn the_last_days() -> String {
    format!("since={}&until={}", day_of_year(YEAR.1 - LAST_DAYS), day_of_year(YEAR.1 - 1))
}

/// A day of the year, from 0 on.
fn day_of_year(day: i64) -> Date {
    YEAR.0.saturating_add(Span::new().days(day))
}

/// Founds an account.
pub(crate) fn sign_up() -> Ask {
    let account =
        json!({"account_name": "Bench", "actor_name": "bench-agent", "actor_type": "agent"});
    Ask {
        method: Method::POST.to_string(),
        path: "/api/v1/bootstrap".to_owned(),
        key: None,
        body: Some(account.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn days_and_types(asks: &[Ask]) -> BTreeSet<(String, String)> {
        let of = |ask: &Ask| {
            let body: Value = serde_json::from_str(ask.body.as_ref().unwrap()).unwrap();
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            (text("logged_at")[..10].to_owned(), text("activity_type"))
        };
        asks.iter().map(of).collect()
    }

    #[test]
    fn the_last_days_hold_the_same_days_and_types_in_both_sizes() {
        let owner = Owner::new("key".to_owned());
        let (year, last) = (days_and_types(&owner.year()), days_and_types(&owner.last_days()));
        assert_eq!(year.len(), 365 * 5);
        assert_eq!(last.len(), 1_000);
        assert!(last.is_subset(&year));
        assert_eq!(the_year(), "since=2025-01-01&until=2025-12-31");
        assert_eq!(the_last_days(), "since=2025-06-15&until=2025-12-31");
        assert_eq!(last.first().unwrap().0, "2025-06-15");
    }

    #[test]
    fn a_todo_is_where_it_began_after_all_steps() {
        let asks = Owner::new("key".to_owned()).step_todos(2);
        let paths: Vec<_> = asks.iter().map(|ask| ask.path.as_str()).collect();
        assert_eq!(paths[..3], ["/api/v1/todos/1", "/api/v1/todos/2", "/api/v1/todos/1"]);
        assert_eq!(asks.last().unwrap().body.as_deref(), Some(r#"{"status":"open"}"#));
    }
}
