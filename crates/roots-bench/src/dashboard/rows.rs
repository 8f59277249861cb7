//! The rows that an account is imported from: sessions that have ended, and todos.

use jiff::Timestamp;

const QUARTER_HOUR_SECONDS: i64 = 900;
/// How long a session lasts.
const SESSION_SECONDS: i64 = 600;
/// Todos are due so long after they were made.
const DUE_SECONDS: i64 = 3_600;

/// Sessions and todos that begin in the quarter hours before a point in time, as many in each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImportedRows {
    /// When the last quarter hour ends.
    pub(crate) end: Timestamp,
    pub(crate) quarters: i64,
    pub(crate) sessions: u64,
    pub(crate) todos: u64,
}

impl ImportedRows {
    pub(crate) const fn all(&self) -> u64 {
        self.sessions + self.todos
    }

    /// When the session begins behind which there are `later` more.
    pub(crate) fn start_before(&self, later: u64) -> Timestamp {
        self.at(self.sessions.saturating_sub(later + 1), self.sessions)
    }

    /// The time of the row of this number, of so many that are numbered from 0.
    fn at(&self, number: u64, of: u64) -> Timestamp {
        let [number, of] = [number, of].map(i128::from);
        let quarter = i64::try_from(number * i128::from(self.quarters) / of).unwrap_or_default();
        self.later(QUARTER_HOUR_SECONDS * (quarter - self.quarters))
    }

    /// So many seconds after the end.
    fn later(&self, seconds: i64) -> Timestamp {
        Timestamp::from_second(self.end.as_second() + seconds).unwrap_or(self.end)
    }

    /// The line of the row of this number, from 1 on. Sessions come first.
    pub(crate) fn line(&self, row: u64) -> String {
        if row <= self.sessions {
            let started = self.at(row - 1, self.sessions);
            let ended = started.as_second() + SESSION_SECONDS - self.end.as_second();
            let ended = self.later(ended);
            return format!(
                "{{\"kind\":\"session\",\"session_id\":{row},\"status\":\"ended\",\
                 \"notes\":\"Working on API docs.\",\"started_at\":\"{started}\",\
                 \"ended_at\":\"{ended}\",\"actor_id\":1}}\n"
            );
        }
        let id = row - self.sessions;
        let made = self.at(id - 1, self.todos);
        let due = self.later(made.as_second() + DUE_SECONDS - self.end.as_second());
        // A quarter of the todos is overdue, and another one has no due date.
        let (status, due_at) = match id % 4 {
            0 => ("open", format!("\"{due}\"")),
            1 => ("done", "null".to_owned()),
            2 => ("cancelled", "null".to_owned()),
            _ => ("open", "null".to_owned()),
        };
        format!(
            "{{\"kind\":\"todo\",\"todo_id\":{id},\"session_id\":null,\"title\":\"A step\",\
             \"status\":\"{status}\",\"due_at\":{due_at},\"created_at\":\"{made}\",\"actor_id\":1}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn imported_rows_are_spread_evenly_and_a_quarter_of_the_todos_is_overdue() {
        let end = Timestamp::from_second(1_800_000_000).unwrap();
        let rows = ImportedRows { end, quarters: 10, sessions: 20, todos: 40 };
        let (mut by_time, mut overdue) = (BTreeMap::new(), 0);
        for row in 1..=rows.all() {
            let line: Value = serde_json::from_str(&rows.line(row)).unwrap();
            let kind = line["kind"].as_str().unwrap().to_owned();
            let time = line["started_at"].as_str().or(line["created_at"].as_str()).unwrap();
            let time: Timestamp = time.parse().unwrap();
            assert!(time < end && line["ended_at"].as_str() != Some(&end.to_string()));
            *by_time.entry((kind, time)).or_insert(0) += 1;
            if let Some(due) = line["due_at"].as_str() {
                assert!(line["status"] == "open" && due.parse::<Timestamp>().unwrap() > time);
                overdue += 1;
            }
        }
        assert_eq!(overdue, 10);
        assert_eq!(by_time.len(), 20);
        for ((kind, _), many) in &by_time {
            assert_eq!(*many, if kind == "session" { 2 } else { 4 });
        }
        let last = by_time.keys().rfind(|(kind, _)| kind == "session").unwrap().1;
        assert_eq!(rows.start_before(1), last);
        assert!(rows.start_before(2) < last);
    }
}
