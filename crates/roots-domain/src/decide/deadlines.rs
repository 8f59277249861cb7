//! Deadlines of claims: how they follow the writes of their todos and sessions.

use super::rows::RowKey;
use super::working_set::WorkingSet;

use crate::model::deadline::Deadline;
use crate::model::id::{AccountId, SessionId, TodoId};
use crate::model::sealed::Sealed;
use crate::model::time::Timestamp;
use crate::model::todo::Todo;

impl WorkingSet {
    /// The deadline of the claim that stands on a todo.
    pub(super) fn deadline(&self, key: RowKey<TodoId>) -> Option<Deadline> {
        self.deadlines.get(key).copied()
    }

    /// Until when the claim that stands on a todo lives.
    pub(super) fn lives_until(&self, account: AccountId, deadline: Deadline) -> Timestamp {
        let session = deadline.session.and_then(|id| self.session_activity.get((account, id)));
        deadline.lives_until(session.copied())
    }

    /// Notes a write with the token of the claim that stands on a todo.
    pub(super) fn touch_claim(&mut self, account: AccountId, todo: TodoId) {
        let now = self.lease_now();
        if let Some(deadline) = self.deadline((account, todo)) {
            self.deadlines.set((account, todo), Some(deadline.touched(now)));
        }
    }

    /// Keeps the deadline of a claim in step with its todo, and ends it with the claim.
    pub(super) fn follow_claim(&mut self, account: AccountId, todo: &Todo<Sealed>) {
        let key = (account, todo.id);
        if todo.claims.standing.is_none() {
            self.end_deadline(account, todo.id);
        } else if let Some(deadline) = self.deadline(key) {
            self.deadlines.set(key, Some(deadline.following(todo)));
        }
    }

    /// Ends the deadline of a todo.
    pub(super) fn end_deadline(&mut self, account: AccountId, todo: TodoId) {
        if self.deadline((account, todo)).is_some() {
            self.deadlines.set((account, todo), None);
        }
    }

    /// Leaves the claims of a deleted session to their leases: its deletion was the last write of
    /// it. The store does the same with those that are not loaded.
    pub(super) fn leave_claims(&mut self, account: AccountId, session: SessionId) {
        let now = self.lease_now();
        self.write_set.claims_left.insert((account, session), now);
        self.deadlines.for_each_of(account, |deadline| {
            if deadline.session == Some(session) {
                deadline.session = None;
                deadline.until = deadline.until.max(deadline.lease.deadline(now));
            }
        });
    }
}
