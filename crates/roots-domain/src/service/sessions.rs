//! Sessions.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::outcome::{ReadError, WriteError, Written};
use super::sealing::{Opened, SealedRow, Sealer, open_text};
use super::write::{Preconditions, Writes};
use crate::command::{Applied, AppliedRow, Resealed, ResourceAction, RowPatch};
use crate::model::Patch;
use crate::model::id::{ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::{Field, Sealed};
use crate::model::session::{
    ListedSession, Session, SessionPatch, SessionStatusKind, SessionWindow,
};
use crate::model::text::LongText;
use crate::port::clock::Uids;
use crate::port::crypto::Keyring;
use crate::port::store::{Admission, SessionQuery, SessionReader, StoreResult};

/// Work sessions: when agents start and stop.
#[derive(Clone)]
pub struct Sessions {
    /// Applies writes.
    pub writes: Writes,
    /// Reads.
    pub reader: Arc<dyn SessionReader>,
    /// Makes the uids of new rows.
    pub uids: Arc<dyn Uids>,
}

/// A session to start.
#[derive(Debug, Clone, Default)]
pub struct SessionDraft {
    /// The actor that the session will belong to; the caller if absent.
    pub actor: Option<ActorId>,
    /// The notes.
    pub notes: Option<LongText>,
}

/// A query for sessions.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionFilter {
    /// The actors.
    pub scope: ActorScope,
    /// Only this status.
    pub status: Option<SessionStatusKind>,
    /// Only sessions of this window, in its order.
    pub window: SessionWindow,
}

impl Sessions {
    /// A page of sessions.
    ///
    /// # Errors
    /// The refusal, a database error, or an unreadable text.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Opened<ListedSession> {
        let found = self.find(caller, filter, page).await?;
        super::sealing::opened(&*self.writes.accounts, caller, found).await
    }

    /// The same page with sealed texts.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        SessionFilter { scope, status, window }: SessionFilter,
        page: PageRequest,
    ) -> Result<Page<ListedSession<Sealed>>, ReadError> {
        let (by, actor) = (caller.admission(), caller.choose(scope)?);
        let query = SessionQuery { by, actor, status, window, page };
        Ok(self.reader.sessions(&query).await?)
    }

    /// The session with that id, if the caller may read it.
    ///
    /// # Errors
    /// A database error, or unreadable notes.
    pub async fn get(&self, caller: &Caller, id: SessionId) -> Result<Option<Session>, ReadError> {
        let found = self.find_one(caller, id).await?;
        super::sealing::opened_one(&*self.writes.accounts, caller, found).await
    }

    /// Starts a session.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn start(
        &self,
        caller: &Caller,
        SessionDraft { actor, notes }: SessionDraft,
        preconditions: Preconditions,
    ) -> Result<Written<Session>, WriteError> {
        let actor = actor.unwrap_or(caller.actor.id);
        let keys = super::sealing::sealing_keys(&*self.writes.accounts, caller, actor).await?;
        let uid = self.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        let notes =
            notes.map(|notes| sealer.seal(Field::SessionNotes, notes.as_str())).transpose()?;
        let action = ResourceAction::StartSession { actor, uid, notes };
        let applied = self.writes.apply(caller, action, preconditions, "POST /sessions").await?;
        self.written(caller, &applied).await
    }

    /// Changes a session: ends it, sets its notes, or both.
    ///
    /// # Errors
    /// [`WriteError::EmptyPatch`], the refusal, or a database error.
    pub async fn patch(
        &self,
        caller: &Caller,
        id: SessionId,
        patch: SessionPatch<LongText>,
        preconditions: Preconditions,
    ) -> Result<Written<Session>, WriteError> {
        if patch.is_empty() {
            return Err(WriteError::EmptyPatch);
        }
        let row = self.seal_patch(caller, id, patch).await?;
        let action = ResourceAction::PatchSession(row);
        let applied =
            self.writes.apply(caller, action, preconditions, "PATCH /sessions/{id}").await?;
        self.written(caller, &applied).await
    }

    /// Deletes a session for good. Its todos and activities stay, unlinked.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: SessionId,
        preconditions: Preconditions,
    ) -> Result<Written<SessionId>, WriteError> {
        let action = ResourceAction::DeleteSession(id);
        let applied =
            self.writes.apply(caller, action, preconditions, "DELETE /sessions/{id}").await?;
        Ok(Written::of(id, &applied))
    }

    /// The session with that id and sealed notes, if the caller may read it.
    ///
    /// # Errors
    /// A database error.
    pub async fn find_one(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> StoreResult<Option<Session<Sealed>>> {
        self.sealed(caller, caller.admission(), id).await
    }

    /// The same with the time of its last activity.
    ///
    /// # Errors
    /// A database error.
    pub async fn find_listed(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> StoreResult<Option<ListedSession<Sealed>>> {
        let found = self.reader.listed_session(caller.admission(), id).await?;
        Ok(found.filter(|listed| caller.reaches(listed.session.actor)))
    }

    async fn sealed(
        &self,
        caller: &Caller,
        by: Admission,
        id: SessionId,
    ) -> StoreResult<Option<Session<Sealed>>> {
        let found = self.reader.session(by, id).await?;
        Ok(found.filter(|session| caller.reaches(session.actor)))
    }

    /// A text is sealed for one row, so a patch with a text first looks up the row. The store
    /// checks the result (the uid, and the ciphertext that was compared) again.
    async fn seal_patch(
        &self,
        caller: &Caller,
        id: SessionId,
        patch: SessionPatch<LongText>,
    ) -> Result<RowPatch<SessionId, SessionPatch<Resealed>>, WriteError> {
        let (sealed_for, notes) = match patch.notes {
            Patch::Keep => (None, Patch::Keep),
            Patch::Clear => (None, Patch::Clear),
            Patch::Set(notes) => {
                let current = self.sealed(caller, caller.account.id.into(), id).await?;
                let current = current.as_ref();
                let actor = current.map_or(caller.actor.id, |session| session.actor);
                let texts = current.into_iter().flat_map(Session::texts);
                let keys =
                    super::sealing::row_keys(&*self.writes.accounts, caller, actor, texts).await?;
                // No session has a fresh uid: the store refuses a text for one that is not found.
                let row = current.map_or_else(|| self.uids.next(), |session| session.uid);
                let before = current.and_then(|session| session.notes.as_ref());
                let sealer = Sealer { keys: &keys, row };
                let notes = sealer.reseal(Field::SessionNotes, notes.as_str(), before)?;
                (Some(row), Patch::Set(notes))
            }
        };
        Ok(RowPatch { id, sealed_for, patch: SessionPatch { status: patch.status, notes } })
    }

    async fn written(
        &self,
        caller: &Caller,
        applied: &Applied,
    ) -> Result<Written<Session>, WriteError> {
        let AppliedRow::Session(session) = &applied.row else {
            return Err(WriteError::mismatched());
        };
        self.writes.written(caller, session, applied).await
    }
}

impl SealedRow for Session<Sealed> {
    type Open = Session;

    fn named(&self) -> (&'static str, i64) {
        ("session", self.id.0)
    }

    fn actor(&self) -> ActorId {
        self.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        Session::texts(self)
    }

    fn open(self, keys: &dyn Keyring) -> Result<Session, ReadError> {
        let row = (self.uid, self.named());
        self.try_map_text(|field, text| open_text(keys, row, field, &text))
    }
}

impl SealedRow for ListedSession<Sealed> {
    type Open = ListedSession;

    fn named(&self) -> (&'static str, i64) {
        self.session.named()
    }

    fn actor(&self) -> ActorId {
        self.session.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        self.session.texts()
    }

    fn open(self, keys: &dyn Keyring) -> Result<ListedSession, ReadError> {
        let Self { session, last_active_at } = self;
        Ok(ListedSession { session: session.open(keys)?, last_active_at })
    }
}
