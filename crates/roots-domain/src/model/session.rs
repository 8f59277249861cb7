//! Work sessions: when an agent starts and stops, with notes.

use super::Patch;
use super::etag::EntityTag;
use super::id::{ActorId, SessionId, Uid};
use super::named::named;
use super::page::{Listed, SortKey};
use super::sealed::Field;
use super::time::{TimeRange, Timestamp};

/// The status of a session. The only change is from active to ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// The agent is at work.
    Active,
    /// The agent has stopped.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
}

named! {
    /// Why a session has ended.
    EndReason {
        /// A caller ended it.
        Ended = "ended",
        /// Nothing was written to it for the time that the operator has set.
        Idle = "idle",
    }
}

impl SessionStatus {
    /// The status of that kind; `None` unless the end belongs to the kind.
    #[must_use]
    pub const fn new(kind: SessionStatusKind, end: Option<(Timestamp, EndReason)>) -> Option<Self> {
        match (kind, end) {
            (SessionStatusKind::Active, None) => Some(Self::Active),
            (SessionStatusKind::Ended, Some((at, reason))) => Some(Self::Ended { at, reason }),
            (SessionStatusKind::Active, Some(_)) | (SessionStatusKind::Ended, None) => None,
        }
    }

    /// A session that a caller ended at that time.
    #[must_use]
    pub const fn ended(at: Timestamp) -> Self {
        Self::Ended { at, reason: EndReason::Ended }
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
            Self::Ended { at, .. } => Some(at),
        }
    }

    /// Why the session ended, if it has.
    #[must_use]
    pub const fn end_reason(self) -> Option<EndReason> {
        match self {
            Self::Active => None,
            Self::Ended { reason, .. } => Some(reason),
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
    /// How long it lasted, in whole seconds, once it has ended.
    pub fn duration_seconds(&self) -> Option<i64> {
        let ended_at = self.status.ended_at()?;
        Some((ended_at.micros() - self.started_at.micros()) / 1_000_000)
    }
}

impl<T> Session<T> {
    /// Its position in a list by the end. The end of an active one is still to come.
    pub fn position_by_end(&self) -> SortKey {
        let end = self.status.ended_at().map_or(i64::MAX, Timestamp::micros);
        SortKey([end, self.started_at.micros(), self.id.0])
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
                next.status = SessionStatus::ended(at.max(self.started_at));
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

/// A stored heartbeat may be this much older than the last write. So a series of writes stores one
/// heartbeat a minute.
pub const HEARTBEAT_EVERY_SECONDS: i64 = 60;

/// Most sessions of an account that one command ends for their silence.
pub const IDLE_ENDED_AT_ONCE_MAX: u32 = 100;

/// When something was last written to a session. It is stored beside the session, so that it moves
/// no version and no entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionActivity {
    /// The session.
    pub session: SessionId,
    /// The start, or the last write that named the session while it was active; up to a minute
    /// behind.
    pub last_active_at: Timestamp,
    /// Whether the session is active.
    pub is_open: bool,
}

impl SessionActivity {
    /// The activity of a new session. An active one that was imported counts from now.
    #[must_use]
    pub fn of_new<T>(session: &Session<T>, now: Timestamp) -> Self {
        let (session, is_open, last_active_at) = match session.status {
            SessionStatus::Active => (session.id, true, session.started_at),
            SessionStatus::Ended { at, .. } => return Self::of_ended(session.id, at),
        };
        Self { session, last_active_at, is_open }.touched(now)
    }

    const fn of_ended(session: SessionId, last_active_at: Timestamp) -> Self {
        Self { session, last_active_at, is_open: false }
    }

    /// The same after a write to the session: at most one change a minute, and none once it has
    /// ended.
    #[must_use]
    pub fn touched(self, now: Timestamp) -> Self {
        let due_at = self.last_active_at.plus_seconds(HEARTBEAT_EVERY_SECONDS);
        let is_due = self.is_open && now >= due_at;
        Self { last_active_at: if is_due { now } else { self.last_active_at }, ..self }
    }

    /// Whether an active session has been silent for `seconds`. The minute that the heartbeat may
    /// be behind counts for the session.
    #[must_use]
    pub fn is_silent(self, seconds: i64, now: Timestamp) -> bool {
        self.silent_from(seconds).is_some_and(|from| from <= now)
    }

    /// The instant from which an active session has been silent for `seconds`, if nothing is
    /// written meanwhile.
    #[must_use]
    pub fn silent_from(self, seconds: i64) -> Option<Timestamp> {
        let latest = self.last_active_at.plus_seconds(HEARTBEAT_EVERY_SECONDS);
        self.is_open.then(|| latest.plus_seconds(seconds))
    }
}

impl<T: Clone> Session<T> {
    /// The session, ended for its silence: at its last activity, and not before its newest entry.
    /// An entry of the future counts as one of now.
    #[must_use]
    pub fn ended_idle(
        &self,
        activity: SessionActivity,
        newest_entry: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let newest = newest_entry.map_or(activity.last_active_at, |at| at.min(now));
        let at = activity.last_active_at.max(newest).max(self.started_at);
        let status = SessionStatus::Ended { at, reason: EndReason::Idle };
        Self { status, version: self.version + 1, ..self.clone() }
    }
}

/// A session in a list. What moves by itself is only here: a version does not count it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession<T = String> {
    /// The session.
    pub session: Session<T>,
    /// The start, or the last write that named the session while it was active; up to a minute
    /// behind.
    pub last_active_at: Timestamp,
}

impl<T> ListedSession<T> {
    /// When something was last written to it.
    pub fn activity(&self) -> SessionActivity {
        let is_open = self.session.status == SessionStatus::Active;
        SessionActivity { session: self.session.id, last_active_at: self.last_active_at, is_open }
    }
}

/// Which sessions a list has, by their times, and its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionWindow {
    /// Those that started in the range, the latest start first.
    Started(TimeRange),
    /// Those that were active at this time or later: active ones, and then those that ended since,
    /// the latest end first.
    ActiveSince(Timestamp),
}

impl Default for SessionWindow {
    fn default() -> Self {
        Self::Started(TimeRange { since: None, until: None })
    }
}

impl SessionWindow {
    /// The window of these bounds; `None` if they ask for both orders.
    #[must_use]
    pub const fn new(started: TimeRange, active_since: Option<Timestamp>) -> Option<Self> {
        match active_since {
            None => Some(Self::Started(started)),
            Some(since) if started.is_open() => Some(Self::ActiveSince(since)),
            Some(_) => None,
        }
    }
}

impl<T> Listed for ListedSession<T> {
    fn sort_key(&self) -> SortKey {
        self.session.sort_key()
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
        assert_eq!(ended.status, SessionStatus::ended(at));
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
        assert_eq!(ended.status, SessionStatus::ended(ended.started_at));
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
        let (active, ended) = (SessionStatus::Active, SessionStatus::ended(at));
        for status in [active, ended, SessionStatus::Ended { at, reason: EndReason::Idle }] {
            let end = status.ended_at().zip(status.end_reason());
            assert_eq!(SessionStatus::new(status.kind(), end), Some(status));
        }
        assert_eq!(SessionStatus::new(active.kind(), Some((at, EndReason::Ended))), None);
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

    #[test]
    fn a_heartbeat_is_stored_once_a_minute_and_never_moves_back() {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let started = SessionActivity::of_new(&session(), at(130));
        assert_eq!((started.last_active_at, started.is_open), (at(100), true));
        assert_eq!(started.touched(at(159)), started);
        assert_eq!(started.touched(at(160)).last_active_at, at(160));
        assert_eq!(started.touched(at(3)), started);
        let closed = SessionActivity { is_open: false, ..started };
        assert_eq!(closed.touched(at(900)), closed, "an ended session");
        // An imported session is silent from its import on.
        assert_eq!(SessionActivity::of_new(&session(), at(900)).last_active_at, at(900));
        let ended = Session { status: SessionStatus::ended(at(150)), ..session() };
        let of_ended = SessionActivity::of_new(&ended, at(900));
        assert_eq!((of_ended.last_active_at, of_ended.is_open), (at(150), false));
    }

    #[test]
    fn a_session_is_silent_a_minute_after_the_time_that_is_set() {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let activity = SessionActivity::of_new(&session(), at(100));
        assert!(!activity.is_silent(300, at(459)));
        assert!(activity.is_silent(300, at(460)));
        assert!(!SessionActivity { is_open: false, ..activity }.is_silent(300, at(460)));
    }

    #[test]
    fn a_silent_session_ends_at_its_last_activity_and_not_before_its_newest_entry() {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let activity = SessionActivity::of_new(&session(), at(100)).touched(at(200));
        let end = |entry| {
            let ended = session().ended_idle(activity, entry, at(900));
            assert_eq!((ended.status.end_reason(), ended.version), (Some(EndReason::Idle), 2));
            (ended.status.ended_at().unwrap(), ended.duration_seconds().unwrap())
        };
        assert_eq!(end(None), (at(200), 100));
        assert_eq!(end(Some(at(150))), (at(200), 100));
        assert_eq!(end(Some(at(230))), (at(230), 130));
        assert_eq!(end(Some(at(5_000))), (at(900), 800), "an entry dated in the future");
    }
}
