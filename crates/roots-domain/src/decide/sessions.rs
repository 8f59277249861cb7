//! Deciding about sessions.

use std::convert::Infallible;

use super::admission::Scope;
use super::working_set::WorkingSet;

use crate::command::{AppliedRow, Refusal, Resealed, RowPatch};

use crate::model::counter::Counter;
use crate::model::id::{AccountId, ActorId, SessionId, Uid};
use crate::model::sealed::Sealed;
use crate::model::session::{EndReason, Session, SessionPatch, SessionStatus, SessionStep};

impl WorkingSet {
    pub(super) fn session(
        &self,
        id: SessionId,
        scope: &Scope,
    ) -> Result<&Session<Sealed>, Refusal> {
        let found = self.sessions.get((scope.account, id));
        found.filter(|session| scope.reaches(session.actor)).ok_or(Refusal::NotFound("session"))
    }

    /// "Link to a session": one of the actor that the row belongs to, even if the owner asks.
    pub(super) fn linkable(
        &self,
        id: SessionId,
        actor: ActorId,
        scope: &Scope,
    ) -> Result<&Session<Sealed>, Refusal> {
        let found = self.sessions.get((scope.account, id));
        found.filter(|session| session.actor == actor).ok_or(Refusal::NoSuchSession(id))
    }

    /// "Link to an active session": a session of the actor that has not ended.
    pub(super) fn check_active_link(
        &self,
        id: Option<SessionId>,
        actor: ActorId,
        scope: &Scope,
    ) -> Result<(), Refusal> {
        let Some(id) = id else { return Ok(()) };
        match self.linkable(id, actor, scope)?.status {
            SessionStatus::Active => Ok(()),
            SessionStatus::Ended { reason: EndReason::Ended, .. } => Err(Refusal::SessionEnded(id)),
            SessionStatus::Ended { reason: EndReason::Idle, .. } => Err(Refusal::SessionIdle(id)),
        }
    }

    pub(super) fn new_session(
        &self,
        actor: ActorId,
        uid: Uid,
        notes: Option<Sealed>,
        scope: &Scope,
    ) -> Result<Session<Sealed>, Refusal> {
        scope.check_reach(actor)?;
        Ok(Session {
            id: self.next_ids(scope.account)?.next_session(),
            uid,
            actor,
            status: SessionStatus::Active,
            notes,
            started_at: scope.at,
            version: 1,
        })
    }

    pub(super) fn patched_session(
        &self,
        row: RowPatch<SessionId, SessionPatch<Resealed>>,
        scope: &Scope,
    ) -> Result<Session<Sealed>, Refusal> {
        let session = self.session(row.id, scope)?;
        if row.sealed_for.is_some_and(|uid| uid != session.uid) {
            return Err(Refusal::NotFound("session"));
        }
        if session.status.end_reason() == Some(EndReason::Idle) {
            return Err(Refusal::SessionIdle(row.id));
        }
        let here = session.notes.as_ref();
        let Ok(notes) = row.patch.notes.try_map(|new| Ok::<_, Infallible>(new.against(here)));
        let patch = SessionPatch { status: row.patch.status, notes };
        session.patch(patch, scope.at).map_err(|step| match step {
            SessionStep::EndTwice => Refusal::AlreadyEnded(row.id),
            SessionStep::Reopen => Refusal::CannotReopen(row.id),
        })
    }

    /// Adds a session, which takes the next id.
    pub(super) fn insert_session(
        &mut self,
        session: Session<Sealed>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        self.last_ids(account)?.session = session.id.0;
        self.count(account, Counter::of_session(&session), 1);
        self.begin_activity(account, &session);
        self.sessions.set((account, session.id), Some(session.clone()));
        Ok(AppliedRow::Session(session))
    }

    /// Replaces a session by its new state. A write that ends it is its last heartbeat.
    pub(super) fn put_session(&mut self, session: Session<Sealed>, scope: &Scope) -> AppliedRow {
        self.touch(scope.account, Some(session.id));
        self.replace_session(scope.account, session.clone());
        AppliedRow::Session(session)
    }

    /// Replaces a session of that account by its new state.
    pub(super) fn replace_session(&mut self, account: AccountId, session: Session<Sealed>) {
        if let Some(before) = self.sessions.get((account, session.id)) {
            let left = Counter::of_session(before);
            self.count(account, left, -1);
        }
        self.count(account, Counter::of_session(&session), 1);
        self.follow_status(account, &session);
        self.sessions.set((account, session.id), Some(session));
    }

    /// Deletes a session, and unlinks the loaded rows that are linked to it.
    pub(super) fn delete_session(
        &mut self,
        session: &Session<Sealed>,
        scope: &Scope,
    ) -> AppliedRow {
        let account = scope.account;
        self.count(account, Counter::of_session(session), -1);
        self.sessions.set((account, session.id), None);
        self.leave_claims(account, session.id);
        self.session_activity.set((account, session.id), None);
        self.todos.for_each_of(account, |todo| todo.unlink(session.id));
        self.activities.for_each_of(account, |activity| activity.unlink(session.id));
        AppliedRow::Deleted
    }
}
