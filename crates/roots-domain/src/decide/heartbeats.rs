//! Heartbeats: the writes that name an active session are its signs of life.

use super::working_set::WorkingSet;

use crate::model::id::{AccountId, SessionId};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionActivity, SessionStatus};
use crate::model::time::Timestamp;

impl WorkingSet {
    /// The time by which silence and leases are judged: one for all processes of a database.
    pub(super) fn lease_now(&self) -> Timestamp {
        self.shared_now.unwrap_or(self.decided_at)
    }

    /// Notes a write that named a session. It changes nothing if the session has ended.
    pub(super) fn touch(&mut self, account: AccountId, session: Option<SessionId>) {
        let Some(id) = session else { return };
        let now = self.lease_now();
        if let Some(activity) = self.session_activity.get((account, id)).copied() {
            self.session_activity.set((account, id), Some(activity.touched(now)));
        }
    }

    /// Begins the activity of a new session.
    pub(super) fn begin_activity(&mut self, account: AccountId, session: &Session<Sealed>) {
        let activity = SessionActivity::of_new(session, self.lease_now());
        self.session_activity.set((account, session.id), Some(activity));
    }

    /// Keeps a session's activity in step with its status.
    pub(super) fn follow_status(&mut self, account: AccountId, session: &Session<Sealed>) {
        let is_open = session.status == SessionStatus::Active;
        if let Some(activity) = self.session_activity.get((account, session.id)).copied() {
            let next = SessionActivity { is_open, ..activity };
            self.session_activity.set((account, session.id), Some(next));
        }
    }
}
