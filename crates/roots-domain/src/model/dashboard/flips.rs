//! When time alone changes what a dashboard says.

use super::needs::{LONG_IN_PROGRESS_SECONDS, soon};
use super::rows::{DashboardRows, DashboardRules, DashboardTodo};
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// A page asks for itself again after so many seconds at most, whatever the rules say: ages move
/// on, and so does the day.
pub const REFRESH_SECONDS: i64 = 60;

impl<T> DashboardRows<T> {
    /// The first time after these rows were read at which a rule says something else though nothing
    /// was written, at most [`REFRESH_SECONDS`] later. A page asks for itself again then.
    #[must_use]
    pub fn next_flip(&self, rules: DashboardRules) -> Timestamp {
        let latest = self.at.plus_seconds(REFRESH_SECONDS);
        let quiet = rules.quiet_after_seconds;
        let sessions =
            self.sessions.iter().filter_map(|session| rules.quiet_from(session.activity()));
        let entries =
            self.agents.iter().filter_map(|agent| Some(agent.last_entry_at?.plus_seconds(quiet?)));
        let in_progress = self.todos.iter().filter(|one| one.status == TodoStatus::InProgress);
        let long = in_progress.map(|todo| todo.status_since.plus_seconds(LONG_IN_PROGRESS_SECONDS));
        let overdue = self.todos.iter().filter_map(DashboardTodo::overdue_from);
        let overdue = overdue.chain(self.next_due_at.map(Timestamp::just_after));
        let claims = self.todos.iter().filter_map(|todo| todo.claim_until);
        let keys =
            self.keys.iter().flat_map(|key| [soon(key.expires_at).just_after(), key.expires_at]);
        let flips = sessions.chain(entries).chain(long.map(Timestamp::just_after)).chain(overdue);
        let flips = flips.chain(claims).chain(keys);
        self.at.next_of(flips).map_or(latest, |flip| flip.min(latest))
    }
}
