//! What needs a person.

use std::collections::BTreeMap;

use super::rows::{DashboardRows, DashboardRules, DashboardTodo, TodoSession};
use crate::model::brief::WAITING_TYPES;
use crate::model::forecast::Forecast;
use crate::model::id::{KeyId, SessionId, TodoId};
use crate::model::session::SessionActivity;
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// A todo that is in progress for longer needs a person: 24 hours.
pub const LONG_IN_PROGRESS_SECONDS: i64 = 86_400;
/// Credits that end, and keys that expire, within this time need a person: 7 days.
pub const SOON_SECONDS: i64 = 7 * 86_400;

/// Why something needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeedKind {
    /// The latest entry of a session is a question.
    Asks,
    /// The latest entry of a session says that it is blocked.
    Blocked,
    /// Nothing was written to an active session for the time that the operator has set.
    Quiet,
    /// A todo is in progress, and its session has ended.
    LeftBehind,
    /// A todo is past its due date.
    Overdue,
    /// A todo is in progress for more than [`LONG_IN_PROGRESS_SECONDS`].
    LongInProgress,
    /// The credits end within [`SOON_SECONDS`], or none are left.
    CreditsEnd,
    /// A key expires within [`SOON_SECONDS`].
    KeyExpires,
}

impl NeedKind {
    /// The kind of a session that waits, by the type of its latest entry.
    #[must_use]
    pub fn of_waiting(activity_type: &str) -> Option<Self> {
        let [question, blocked] = WAITING_TYPES;
        match activity_type {
            name if name == question => Some(Self::Asks),
            name if name == blocked => Some(Self::Blocked),
            _ => None,
        }
    }
}

/// What needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeedSubject {
    /// A session.
    Session(SessionId),
    /// A todo.
    Todo(TodoId),
    /// The credits of the account.
    Credits,
    /// A key.
    Key(KeyId),
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is.
    pub subject: NeedSubject,
    /// Why, and since when, the oldest reason first; never empty. For a quiet session the time is
    /// that of its last write, for credits and keys the time at which 7 days were left.
    pub reasons: Vec<(Timestamp, NeedKind)>,
}

impl Need {
    /// Its oldest reason, and since when it is one.
    #[must_use]
    pub fn oldest(&self) -> Option<(Timestamp, NeedKind)> {
        self.reasons.first().copied()
    }
}

impl DashboardRules {
    /// Whether a session is quiet.
    #[must_use]
    pub fn is_quiet(self, activity: SessionActivity, now: Timestamp) -> bool {
        self.quiet_from(activity).is_some_and(|from| from <= now)
    }

    /// The instant from which an active session is quiet, if nothing is written meanwhile.
    #[must_use]
    pub fn quiet_from(self, activity: SessionActivity) -> Option<Timestamp> {
        activity.silent_from(self.quiet_after_seconds?)
    }
}

/// The time at which `SOON_SECONDS` are left until `end`.
pub(super) fn soon(end: Timestamp) -> Timestamp {
    end.plus_seconds(-SOON_SECONDS)
}

/// Why a todo needs a person.
fn of_todo<T>(
    todo: &DashboardTodo<T>,
    now: Timestamp,
) -> impl Iterator<Item = (Timestamp, NeedKind)> {
    let is_in_progress = todo.status == TodoStatus::InProgress;
    let since = todo.status_since;
    let left_at = match todo.session {
        TodoSession::Ended { at, .. } if is_in_progress => Some(at.max(since)),
        TodoSession::Deleted if is_in_progress => Some(since),
        _ => None,
    };
    let is_overdue = todo.overdue_from().is_some_and(|from| from <= now);
    let due_at = todo.due_at.filter(|_| is_overdue);
    let is_long = is_in_progress && since.plus_seconds(LONG_IN_PROGRESS_SECONDS) < now;
    let reasons = [
        left_at.map(|at| (at, NeedKind::LeftBehind)),
        due_at.map(|at| (at, NeedKind::Overdue)),
        is_long.then_some((since, NeedKind::LongInProgress)),
    ];
    reasons.into_iter().flatten()
}

impl<T> DashboardRows<T> {
    /// The forecast of the credits.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        Forecast::of(self.spending, self.at)
    }

    /// All that needs a person, each once, the oldest first. A session that waits is not quiet: it
    /// was told why nothing is written.
    #[must_use]
    pub fn needs(&self, rules: DashboardRules) -> Vec<Need> {
        let mut found = BTreeMap::<NeedSubject, Vec<(Timestamp, NeedKind)>>::new();
        let mut add = |subject, reason| found.entry(subject).or_default().push(reason);
        for entry in &self.waiting {
            let kind = NeedKind::of_waiting(entry.activity_type.as_str());
            if let Some((session, kind)) = entry.session.zip(kind) {
                add(NeedSubject::Session(session), (entry.logged_at, kind));
            }
        }
        for session in &self.sessions {
            let waits = self.waiting.iter().any(|entry| entry.session == Some(session.id));
            if !waits && rules.is_quiet(session.activity(), self.at) {
                add(NeedSubject::Session(session.id), (session.last_active_at, NeedKind::Quiet));
            }
        }
        for todo in &self.todos {
            for reason in of_todo(todo, self.at) {
                add(NeedSubject::Todo(todo.id), reason);
            }
        }
        if let Some(since) = self.spending.ends_at(self.at).map(soon)
            && since < self.at
        {
            add(NeedSubject::Credits, (since, NeedKind::CreditsEnd));
        }
        for key in &self.keys {
            let since = soon(key.expires_at);
            if since < self.at && self.at < key.expires_at {
                add(NeedSubject::Key(key.id), (since, NeedKind::KeyExpires));
            }
        }
        let sorted = |(subject, mut reasons): (_, Vec<_>)| {
            reasons.sort_unstable();
            Need { subject, reasons }
        };
        let mut needs: Vec<_> = found.into_iter().map(sorted).collect();
        needs.sort_by_key(|need| (need.oldest(), need.subject));
        needs
    }
}
