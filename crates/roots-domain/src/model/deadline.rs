//! Until when claims live.

use super::claim::{Claim, LeaseSeconds};
use super::id::{ActorId, SessionId, TodoId};
use super::session::{HEARTBEAT_EVERY_SECONDS, SessionActivity};
use super::time::Timestamp;
use super::todo::{Priority, Todo};

/// The deadline of the claim that stands on a todo. It is stored beside the todo, so that a
/// heartbeat moves no version and no entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The todo.
    pub todo: TodoId,
    /// The actor that the todo belongs to.
    pub actor: ActorId,
    /// The priority of the todo. It is repeated here for an index, as the two below are.
    pub priority: Priority,
    /// When the todo is due.
    pub due_at: Option<Timestamp>,
    /// When the todo was made.
    pub created_at: Timestamp,
    /// The session whose writes keep the claim alive, while it exists.
    pub session: Option<SessionId>,
    /// The lease.
    pub lease: LeaseSeconds,
    /// Until when writes with the token keep it alive; up to a minute too early.
    pub until: Timestamp,
}

impl Deadline {
    /// The deadline of the claim that stands on a todo, if one does.
    #[must_use]
    pub fn of<T>(todo: &Todo<T>, until: Timestamp) -> Option<Self> {
        let Claim { session, lease, .. } = todo.claims.standing?;
        let (id, actor, created_at) = (todo.id, todo.actor, todo.created_at);
        let (priority, due_at) = (todo.content.priority, todo.content.due_at);
        Some(Self { todo: id, actor, priority, due_at, created_at, session, lease, until })
    }

    /// The same after a change of its todo.
    #[must_use]
    pub fn following<T>(self, todo: &Todo<T>) -> Self {
        let (priority, due_at) = (todo.content.priority, todo.content.due_at);
        Self { priority, due_at, ..self }
    }

    /// The same after a write with the claim's token: at most one change a minute.
    #[must_use]
    pub fn touched(self, now: Timestamp) -> Self {
        let next = self.lease.deadline(now);
        let is_due = next >= self.until.plus_seconds(HEARTBEAT_EVERY_SECONDS);
        Self { until: if is_due { next } else { self.until }, ..self }
    }

    /// Until when the claim lives, by the writes with its token and by those of its session.
    #[must_use]
    pub fn lives_until(self, session: Option<SessionActivity>) -> Timestamp {
        let by_session = session.map(|session| self.lease.deadline(session.last_active_at));
        by_session.map_or(self.until, |by_session| by_session.max(self.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::FIRST.plus_seconds(seconds)
    }

    #[test]
    fn a_claim_lives_for_its_lease_and_a_minute_after_the_last_stored_heartbeat() {
        let lease = LeaseSeconds::parse(600).unwrap();
        let until = lease.deadline(at(100));
        let deadline = Deadline {
            todo: TodoId(1),
            actor: ActorId(1),
            priority: Priority::default(),
            due_at: None,
            created_at: at(0),
            session: Some(SessionId(2)),
            lease,
            until,
        };
        assert_eq!(until, at(760));
        // The last write of each minute lives for its whole lease.
        assert_eq!(deadline.touched(at(159)), deadline);
        assert_eq!(deadline.touched(at(160)).until, at(820));
        assert_eq!(deadline.touched(at(5)), deadline, "it never moves back");
        let active = |seconds| {
            let session = SessionId(2);
            Some(SessionActivity { session, last_active_at: at(seconds), is_open: true })
        };
        assert_eq!(deadline.lives_until(None), at(760));
        assert_eq!(deadline.lives_until(active(50)), at(760));
        assert_eq!(deadline.lives_until(active(500)), at(1_160));
    }
}
