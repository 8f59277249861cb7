//! Deciding about sessions that have been silent for too long.

use super::working_set::WorkingSet;

use crate::command::{Applied, AppliedRow, Refusal};

use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::id::{AccountId, SessionId};
use crate::model::session::SessionStatus;
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Ends those of these sessions that are active and have been silent for that long. The store
    /// has found them before the account was locked, so each is looked at again.
    pub(super) fn end_idle_sessions(
        &mut self,
        account: AccountId,
        sessions: &[SessionId],
        idle_seconds: i64,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let balance = self.account(account).ok_or(Refusal::NoSuchAccount(account))?.balance;
        let now = self.lease_now();
        let mut ended = 0;
        for id in sessions {
            let key = (account, *id);
            let Some(activity) = self.session_activity.get(key).copied() else { continue };
            let Some(session) = self.sessions.get(key) else { continue };
            let is_active = session.status == SessionStatus::Active;
            if !is_active || !activity.is_silent(idle_seconds, now) {
                continue;
            }
            let newest_entry = self.newest_entries.get(&key).copied();
            let next = session.ended_idle(activity, newest_entry, now);
            let event = AuditEvent::of_program(AuditAction::SessionIdled);
            let event = event.to_session(next.actor, *id);
            self.replace_session(account, next);
            self.note(account, event, at);
            ended += 1;
        }
        let row = AppliedRow::SessionsEnded(ended);
        Ok(Applied { row, cost: 0, balance, is_replay: false })
    }
}
