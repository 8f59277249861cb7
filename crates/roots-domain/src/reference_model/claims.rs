//! Claims and heartbeats in the reference model.

use std::cmp::Ordering;

use super::rows::{ReferenceModel, WriteResult, check_maker, find, later, next};
use crate::command::{AppliedRow, ClaimFate, ClaimRequest, Refusal, ResourceAction};
use crate::model::bearer::KeyBearer;
use crate::model::claim::{Claim, ClaimToken};
use crate::model::deadline::Deadline;
use crate::model::id::{LogId, SessionId, TodoId};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionActivity, SessionStatus, SessionStatusKind};
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo, TodoStatus};

/// A stored heartbeat may be so many seconds behind.
const LAG_SECONDS: i64 = 60;

impl ReferenceModel {
    fn lease_now(&self, at: Timestamp) -> Timestamp {
        self.shared_now.unwrap_or(at)
    }

    /// Begins the activity of a new session.
    pub(super) fn begin(&mut self, row: &Session<Sealed>, at: Timestamp) {
        let (now, session) = (self.lease_now(at), row.id);
        let (last_active_at, is_open) = match row.status {
            SessionStatus::Ended { at, .. } => (at, false),
            SessionStatus::Active if now < row.started_at.plus_seconds(LAG_SECONDS) => {
                (row.started_at, true)
            }
            SessionStatus::Active => (now, true),
        };
        self.activity.insert(session, SessionActivity { session, last_active_at, is_open });
    }

    /// Notes that a write named an active session, or carried the token of a claim.
    pub(super) fn beat(&mut self, row: &AppliedRow, action: &ResourceAction, at: Timestamp) {
        let now = self.lease_now(at);
        let named = match row {
            AppliedRow::Session(session) => vec![Some(session.id)],
            AppliedRow::Todo(todo) => vec![todo.content.session],
            AppliedRow::Todos(todos) => todos.iter().map(|todo| todo.content.session).collect(),
            AppliedRow::Claimed(todo, _) => {
                vec![todo.claims.standing.and_then(|claim| claim.session)]
            }
            AppliedRow::Activity(activity) => vec![activity.session],
            _ => Vec::new(),
        };
        let is_end = matches!(action, ResourceAction::PatchSession(row)
            if row.patch.status == Some(SessionStatusKind::Ended));
        for id in named.into_iter().flatten() {
            if let Some(activity) = self.activity.get_mut(&id)
                && (activity.is_open || is_end)
                && now >= activity.last_active_at.plus_seconds(LAG_SECONDS)
            {
                activity.last_active_at = now;
            }
        }
        if let ResourceAction::PatchTodo { row, claim_token: Some(_), .. } = action
            && let Some(deadline) = self.deadlines.get_mut(&row.id)
        {
            let lease = deadline.lease.seconds() + LAG_SECONDS;
            let beaten_at = deadline.until.plus_seconds(-lease);
            if now >= beaten_at.plus_seconds(LAG_SECONDS) {
                deadline.until = now.plus_seconds(lease);
            }
        }
    }

    /// The claims of a deleted session live on for their leases.
    pub fn leave_claims(&mut self, session: SessionId, at: Timestamp) {
        let now = self.lease_now(at);
        for deadline in self.deadlines.values_mut().filter(|row| row.session == Some(session)) {
            let until = now.plus_seconds(deadline.lease.seconds() + LAG_SECONDS);
            (deadline.session, deadline.until) = (None, later(until, deadline.until));
        }
    }

    /// A write that carries a token needs the claim of that token.
    pub(super) fn check_claim(
        &self,
        by: &KeyBearer,
        todo: TodoId,
        token: Option<ClaimToken>,
    ) -> Result<(), Refusal> {
        let Some(token) = token else { return Ok(()) };
        let row = find(&self.todos, todo, by, |row| row.actor, "todo")?;
        let count = row.claims.count;
        let fate = match row.claims.standing {
            _ if token.0 > count => ClaimFate::NotYet { count },
            Some(_) if token.0 == count => return Ok(()),
            Some(_) => ClaimFate::Retaken { standing: ClaimToken(count) },
            None => ClaimFate::Ended { status: row.status },
        };
        Err(Refusal::ClaimLost { todo, token, fate })
    }

    /// Until when the claim that stands on a todo lives.
    #[must_use]
    pub fn lives_until(&self, todo: TodoId) -> Option<Timestamp> {
        let deadline = self.deadlines.get(&todo)?;
        let session = deadline.session.and_then(|id| self.activity.get(&id));
        let seconds = deadline.lease.seconds() + LAG_SECONDS;
        let by_session = session.map(|row| row.last_active_at.plus_seconds(seconds));
        Some(by_session.map_or(deadline.until, |until| later(until, deadline.until)))
    }

    /// Whether the claim of a todo in progress has lapsed.
    #[must_use]
    pub fn has_lapsed(&self, row: &Todo<Sealed>, at: Timestamp) -> bool {
        row.claims.standing.is_some()
            && self.lives_until(row.id).is_none_or(|until| until <= self.lease_now(at))
    }

    pub(super) fn claim(
        &mut self,
        by: &KeyBearer,
        claim: ClaimRequest,
        at: Timestamp,
    ) -> WriteResult {
        let now = self.lease_now(at);
        check_maker(by, claim.actor)?;
        self.check_active_link(claim.actor, claim.session)?;
        let before = if let Some(id) = claim.todo {
            let row = find(&self.todos, id, by, |row| row.actor, "todo")?;
            if row.actor != claim.actor {
                return Err(Refusal::NotFound("todo"));
            }
            if matches!(row.status, TodoStatus::Done | TodoStatus::Cancelled) {
                return Err(Refusal::NotClaimable { todo: id, status: row.status });
            }
            let until = self.lives_until(id);
            if let Some(until) = until.filter(|_| !self.has_lapsed(row, at)) {
                return Err(Refusal::ClaimHeld { todo: id, until });
            }
            row.clone()
        } else {
            let mut first: Option<&Todo<Sealed>> = None;
            for row in self.todos.values() {
                let is_free = row.status == TodoStatus::Open || self.has_lapsed(row, at);
                let is_asked = row.actor == claim.actor
                    && row.content.priority.level() >= claim.min_priority.level();
                if is_free && is_asked && first.is_none_or(|first| comes_before(row, first)) {
                    first = Some(row);
                }
            }
            let Some(first) = first else { return Ok(AppliedRow::NothingToClaim) };
            first.clone()
        };
        let mut row = Todo { status: TodoStatus::InProgress, ..before.clone() };
        let (session, lease) = (claim.session, claim.lease);
        row.claims.count += 1;
        row.claims.standing = Some(Claim { session, claimed_at: now, lease });
        if session.is_some() {
            row.content.session = session;
        }
        row.version += 1;
        row.updated_at = later(at, before.updated_at);
        let until = now.plus_seconds(lease.seconds() + LAG_SECONDS);
        let [of_lapse, of_claim] = claim.log_uids;
        let mut step = |uid, old_status, new_status, note| {
            let id = LogId(next(&mut self.account.last_ids.log));
            let (todo, logged_at) = (row.id, row.updated_at);
            let log = StatusChange { id, uid, todo, old_status, new_status, note, logged_at };
            self.logs.insert(id, log);
        };
        if before.claims.standing.is_some() {
            step(of_lapse, TodoStatus::InProgress, TodoStatus::Open, Some(claim.lapse_note));
        }
        if before.claims.standing.is_some() || before.status == TodoStatus::Open {
            row.status_since = row.updated_at;
            step(of_claim, TodoStatus::Open, TodoStatus::InProgress, None);
        }
        let deadline = Deadline {
            todo: row.id,
            actor: row.actor,
            priority: row.content.priority,
            due_at: row.content.due_at,
            created_at: row.created_at,
            session,
            lease,
            until,
        };
        self.deadlines.insert(row.id, deadline);
        self.todos.insert(row.id, row.clone());
        Ok(AppliedRow::Claimed(row, until))
    }
}

/// Whether a claim takes one todo rather than another.
fn comes_before(one: &Todo<Sealed>, other: &Todo<Sealed>) -> bool {
    let by_priority = other.content.priority.level().cmp(&one.content.priority.level());
    let is_lapsed = |row: &Todo<Sealed>| row.status != TodoStatus::Open;
    let by_due = match (one.content.due_at, other.content.due_at) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let by_lapse = is_lapsed(one).cmp(&is_lapsed(other));
    let by_age = (one.created_at, one.id).cmp(&(other.created_at, other.id));
    by_priority.then(by_lapse).then(by_due).then(by_age) == Ordering::Less
}
