//! Work sessions: when an agent starts and stops, with notes.

use super::Patch;
use super::etag::EntityTag;
use super::id::{ActorId, SessionId, Uid};
use super::page::{Listed, SortKey};
use super::sealed::Field;
use super::time::Timestamp;

/// The status of a session. The only change is from active to ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// The agent is at work.
    Active,
    /// The agent has stopped.
    Ended {
        /// When.
        at: Timestamp,
    },
}

impl SessionStatus {
    /// The status of that kind; `None` unless the time of its end belongs to the kind.
    #[must_use]
    pub const fn new(kind: SessionStatusKind, ended_at: Option<Timestamp>) -> Option<Self> {
        match (kind, ended_at) {
            (SessionStatusKind::Active, None) => Some(Self::Active),
            (SessionStatusKind::Ended, Some(at)) => Some(Self::Ended { at }),
            (SessionStatusKind::Active, Some(_)) | (SessionStatusKind::Ended, None) => None,
        }
    }

    /// Which status it is.
    #[must_use]
    pub const fn kind(self) -> SessionStatusKind {
        match self {
            Self::Active => SessionStatusKind::Active,
            Self::Ended { .. } => SessionStatusKind::Ended,
        }
    }

    /// When the session ended, if it has.
    #[must_use]
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Ended { at } => Some(at),
        }
    }
}

/// The status of a session without the time of its end. Patches, filters and counters use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionStatusKind {
    /// The agent is at work.
    Active,
    /// The agent has stopped.
    Ended,
}

impl SessionStatusKind {
    /// Every status.
    pub const ALL: [Self; 2] = [Self::Active, Self::Ended];

    /// Its name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Most rows, todos and activities together, that one transaction unlinks from deleted sessions.
/// The rest is done in steps, but readers see all of them as unlinked at once.
pub const UNLINKED_AT_ONCE_MAX: u32 = 500;

/// A work session. `T` is its text: [`String`] when open, [`super::sealed::Sealed`] at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session<T = String> {
    /// Its id within the account.
    pub id: SessionId,
    /// Its identity.
    pub uid: Uid,
    /// The actor that the session belongs to.
    pub actor: ActorId,
    /// Its status.
    pub status: SessionStatus,
    /// The agent's notes.
    pub notes: Option<T>,
    /// When it started.
    pub started_at: Timestamp,
    /// Counts its changes, from 1.
    pub version: i64,
}

impl<T> Session<T> {
    /// The tag of its current state.
    pub const fn tag(&self) -> EntityTag {
        EntityTag { uid: self.uid, version: self.version }
    }
}

impl<T> Session<T> {
    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &T> {
        self.notes.iter()
    }
}

impl<T> Session<T> {
    /// Maps its notes with `change`.
    ///
    /// # Errors
    /// The error of `change`.
    pub fn try_map_text<U, E>(
        self,
        mut change: impl FnMut(Field, T) -> Result<U, E>,
    ) -> Result<Session<U>, E> {
        let Self { id, uid, actor, status, notes, started_at, version } = self;
        let notes = notes.map(|text| change(Field::SessionNotes, text)).transpose()?;
        Ok(Session { id, uid, actor, status, notes, started_at, version })
    }
}

impl<T> Listed for Session<T> {
    fn sort_key(&self) -> SortKey {
        SortKey([0, self.started_at.micros(), self.id.0])
    }
}

/// A change to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPatch<T> {
    /// The new status.
    pub status: Option<SessionStatusKind>,
    /// The change of the notes.
    pub notes: Patch<T>,
}

impl<T> SessionPatch<T> {
    /// Whether it changes no field.
    pub const fn is_empty(&self) -> bool {
        self.status.is_none() && self.notes.is_keep()
    }
}

/// A change of status that a session refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStep {
    /// It has already ended.
    EndTwice,
    /// It has ended and can't be reopened.
    Reopen,
}

impl<T: Clone + PartialEq> Session<T> {
    /// The session after `patch`. A patch that changes nothing keeps the version.
    ///
    /// # Errors
    /// An ended session can't be ended again or reopened.
    pub fn patch(&self, patch: SessionPatch<T>, at: Timestamp) -> Result<Self, SessionStep> {
        let mut next = self.clone();
        match (self.status, patch.status) {
            (_, None) | (SessionStatus::Active, Some(SessionStatusKind::Active)) => {}
            (SessionStatus::Active, Some(SessionStatusKind::Ended)) => {
                next.status = SessionStatus::Ended { at: at.max(self.started_at) };
            }
            (SessionStatus::Ended { .. }, Some(SessionStatusKind::Ended)) => {
                return Err(SessionStep::EndTwice);
            }
            (SessionStatus::Ended { .. }, Some(SessionStatusKind::Active)) => {
                return Err(SessionStep::Reopen);
            }
        }
        next.notes = patch.notes.apply(next.notes);
        if next != *self {
            next.version += 1;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            id: SessionId(2),
            uid: Uid::NIL,
            actor: ActorId(1),
            status: SessionStatus::Active,
            notes: Some("Starting morning review".into()),
            started_at: Timestamp::FIRST.plus_seconds(100),
            version: 1,
        }
    }

    fn to(status: Option<SessionStatusKind>, notes: Patch<String>) -> SessionPatch<String> {
        SessionPatch { status, notes }
    }

    #[test]
    fn a_session_ends_once_and_keeps_what_the_patch_leaves_out() {
        let at = Timestamp::FIRST.plus_seconds(200);
        let ended = session().patch(to(Some(SessionStatusKind::Ended), Patch::Keep), at).unwrap();
        assert_eq!(ended.status, SessionStatus::Ended { at });
        assert_eq!(ended.notes, session().notes);
        assert_eq!(ended.version, 2);
        let again = ended.patch(to(Some(SessionStatusKind::Ended), Patch::Clear), at);
        assert_eq!(again, Err(SessionStep::EndTwice));
        let reopened = ended.patch(to(Some(SessionStatusKind::Active), Patch::Clear), at);
        assert_eq!(reopened, Err(SessionStep::Reopen));
    }

    #[test]
    fn a_session_never_ends_before_its_start() {
        let early = Timestamp::FIRST;
        let ended =
            session().patch(to(Some(SessionStatusKind::Ended), Patch::Keep), early).unwrap();
        assert_eq!(ended.status, SessionStatus::Ended { at: ended.started_at });
    }

    #[test]
    fn notes_can_change_in_active_and_ended_sessions() {
        let at = Timestamp::FIRST.plus_seconds(200);
        let ended = session().patch(to(Some(SessionStatusKind::Ended), Patch::Clear), at).unwrap();
        assert_eq!(ended.notes, None);
        let noted = ended.patch(to(None, Patch::Set("Done".into())), at).unwrap();
        assert_eq!(noted.notes.as_deref(), Some("Done"));
        assert_eq!(noted.version, 3);
    }

    #[test]
    fn a_session_patch_that_changes_nothing_keeps_the_version() {
        let at = Timestamp::FIRST.plus_seconds(200);
        let same =
            to(Some(SessionStatusKind::Active), Patch::Set("Starting morning review".into()));
        assert_eq!(session().patch(same, at).unwrap(), session());
    }

    #[test]
    fn an_ended_session_has_an_end_and_an_active_one_has_none() {
        let at = Timestamp::FIRST;
        let (active, ended) = (SessionStatus::Active, SessionStatus::Ended { at });
        for status in [active, ended] {
            assert_eq!(SessionStatus::new(status.kind(), status.ended_at()), Some(status));
        }
        assert_eq!(SessionStatus::new(active.kind(), Some(at)), None);
        assert_eq!(SessionStatus::new(ended.kind(), None), None);
    }

    #[test]
    fn session_statuses_have_the_names_of_the_api_contract() {
        for (status, text) in
            [(SessionStatusKind::Active, "active"), (SessionStatusKind::Ended, "ended")]
        {
            assert_eq!((status.name(), SessionStatusKind::from_name(text)), (text, Some(status)));
        }
        assert_eq!(SessionStatusKind::from_name("Active"), None);
    }
}
