//! Imports: rows that were exported elsewhere, with their times and links.
//!
//! A row is identified for good by its source account and its id there. The importing account
//! remembers both with the row's id here, so that links can be resolved, and repeated rows are not
//! written again.
//!
//! Each row that an import writes costs 1 credit, as any write does.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::Invalid;
use super::activity::Activity;
use super::credit::WRITE_COST;
use super::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use super::sealed::Sealed;
use super::session::{EndReason, Session, SessionStatus, SessionStatusKind};
use super::time::Timestamp;
use super::todo::{StatusChange, Todo};

/// Most rows of one command: other writes run between two.
pub const IMPORT_MAX_ROWS: usize = 64;
/// The route that the ledger names.
pub const IMPORT_ENDPOINT: &str = "POST /import";

/// A row, by its id in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// An actor.
    Actor(ActorId),
    /// A session.
    Session(SessionId),
    /// A todo.
    Todo(TodoId),
    /// A step of a todo's log.
    Step(LogId),
    /// An activity.
    Activity(ActivityId),
}

/// The kind of an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginKind {
    /// An actor.
    Actor,
    /// A session.
    Session,
    /// A todo.
    Todo,
    /// A step of a todo's log.
    Step,
    /// An activity.
    Activity,
}

impl OriginKind {
    /// Every kind. Todos come before the steps of their logs.
    pub const ALL: [Self; 5] = [Self::Actor, Self::Session, Self::Todo, Self::Step, Self::Activity];

    /// Its name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Session => "session",
            Self::Todo => "todo",
            Self::Step => "log",
            Self::Activity => "activity",
        }
    }

    /// The kind with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The row of this kind with that id.
    #[must_use]
    pub const fn row(self, id: i64) -> Origin {
        match self {
            Self::Actor => Origin::Actor(ActorId(id)),
            Self::Session => Origin::Session(SessionId(id)),
            Self::Todo => Origin::Todo(TodoId(id)),
            Self::Step => Origin::Step(LogId(id)),
            Self::Activity => Origin::Activity(ActivityId(id)),
        }
    }
}

impl Origin {
    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> OriginKind {
        match self {
            Self::Actor(_) => OriginKind::Actor,
            Self::Session(_) => OriginKind::Session,
            Self::Todo(_) => OriginKind::Todo,
            Self::Step(_) => OriginKind::Step,
            Self::Activity(_) => OriginKind::Activity,
        }
    }

    /// Its id in the source.
    #[must_use]
    pub const fn id(self) -> i64 {
        match self {
            Self::Actor(id) => id.0,
            Self::Session(id) => id.0,
            Self::Todo(id) => id.0,
            Self::Step(id) => id.0,
            Self::Activity(id) => id.0,
        }
    }
}

/// The kind and the id in the source: `todo 7`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.id())
    }
}

/// A row to import. Its actor is an actor of the importing account, all other ids are those of the
/// source, and its texts are sealed for its uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportRow {
    /// A session.
    Session(Session<Sealed>),
    /// A todo as it was before the first step of its log. The steps follow and update it.
    Todo(Todo<Sealed>),
    /// A step of a todo of that actor.
    Step(ActorId, StatusChange<Sealed>),
    /// An activity.
    Activity(Activity<Sealed>),
    /// A session that was imported before. It has the uid and the actor of its row here, and its
    /// texts are sealed for that row; an unchanged text has the same ciphertext.
    SessionAgain(Session<Sealed>),
    /// A todo that was imported before, likewise.
    TodoAgain(Todo<Sealed>),
}

impl ImportRow {
    /// Its identity in the source.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match self {
            Self::Session(session) | Self::SessionAgain(session) => Origin::Session(session.id),
            Self::Todo(todo) | Self::TodoAgain(todo) => Origin::Todo(todo.id),
            Self::Step(_, step) => Origin::Step(step.id),
            Self::Activity(activity) => Origin::Activity(activity.id),
        }
    }

    /// The local actor that it will belong to.
    #[must_use]
    pub const fn actor(&self) -> ActorId {
        match self {
            Self::Session(session) | Self::SessionAgain(session) => session.actor,
            Self::Todo(todo) | Self::TodoAgain(todo) => todo.actor,
            Self::Step(actor, _) => *actor,
            Self::Activity(activity) => activity.actor,
        }
    }

    /// The row that it depends on.
    #[must_use]
    pub fn link(&self) -> Option<Origin> {
        match self {
            Self::Session(_) | Self::SessionAgain(_) => None,
            Self::Todo(todo) | Self::TodoAgain(todo) => todo.content.session.map(Origin::Session),
            Self::Step(_, step) => Some(Origin::Todo(step.todo)),
            Self::Activity(activity) => activity.session.map(Origin::Session),
        }
    }
}

/// Rows of one source, in order. Each is imported completely or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The account that they come from.
    pub source: Uid,
    /// For each local actor, the actor of the source. It is stored together with the first row
    /// written for it, so that nothing is written without payment.
    pub actors: BTreeMap<ActorId, ActorId>,
    /// The rows, at most [`IMPORT_MAX_ROWS`].
    pub rows: Vec<ImportRow>,
}

/// The result of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It was written with this id.
    New(i64),
    /// It was imported before with this id, and was updated.
    Updated(i64),
    /// It was imported before, and has or had this id.
    Unchanged(i64),
}

/// The effect of an import on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportEffect {
    /// None: it was imported before.
    Unchanged,
    /// It is written as a new row.
    Added,
    /// It was imported before, and is updated.
    Updated,
}

impl ImportEffect {
    /// What it costs, in credits. A row that is refused has no effect and costs nothing.
    #[must_use]
    pub const fn cost(self) -> i64 {
        match self {
            Self::Unchanged => 0,
            Self::Added | Self::Updated => WRITE_COST,
        }
    }
}

impl Imported {
    /// What was done for it.
    #[must_use]
    pub const fn effect(self) -> ImportEffect {
        match self {
            Self::New(_) => ImportEffect::Added,
            Self::Updated(_) => ImportEffect::Updated,
            Self::Unchanged(_) => ImportEffect::Unchanged,
        }
    }
}

/// The status of an imported session, if its end fits its status and its start. An end without a
/// reason is one by a caller: older exports name none.
///
/// # Errors
/// Says what `ended_at` must be.
pub fn imported_status(
    kind: SessionStatusKind,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    reason: Option<EndReason>,
) -> Result<SessionStatus, Invalid> {
    match (kind, ended_at) {
        (SessionStatusKind::Active, Some(_)) => {
            Err(Invalid::new("must be null while it is active"))
        }
        (SessionStatusKind::Ended, None) => Err(Invalid::new("is required once it has ended")),
        (SessionStatusKind::Ended, Some(at)) if at < started_at => {
            Err(Invalid::new("must not be before started_at"))
        }
        (SessionStatusKind::Active, None) => Ok(SessionStatus::Active),
        (SessionStatusKind::Ended, Some(at)) => {
            Ok(SessionStatus::Ended { at, reason: reason.unwrap_or(EndReason::Ended) })
        }
    }
}

/// When an imported todo was last changed: when it was made, unless the source names
/// another time.
///
/// # Errors
/// Says what `updated_at` must be.
pub fn imported_updated_at(
    created_at: Timestamp,
    updated_at: Option<Timestamp>,
) -> Result<Timestamp, Invalid> {
    match updated_at {
        Some(at) if at < created_at => Err(Invalid::new("must not be before created_at")),
        at => Ok(at.unwrap_or(created_at)),
    }
}

/// A step that does not continue from its todo's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepRefusal {
    /// It begins from another status.
    OtherStatus,
    /// The step is not allowed.
    Forbidden,
}

impl<T: Clone + PartialEq> Todo<T> {
    /// The todo after a step of its history. `updated_at` is at least the time of the step, and the
    /// status is that of the step since its time.
    ///
    /// # Errors
    /// The step begins from another status, or is not allowed.
    pub fn relive<N>(&self, step: &StatusChange<N>) -> Result<Self, StepRefusal> {
        let (from, to) = (step.old_status, step.new_status);
        if from != self.status {
            return Err(StepRefusal::OtherStatus);
        }
        if !from.next().contains(&to) {
            return Err(StepRefusal::Forbidden);
        }
        let updated_at = self.updated_at.max(step.logged_at);
        let (status_since, version) = (step.logged_at, self.version + 1);
        Ok(Self { updated_at, status_since, version, ..self.clone().in_status(to) })
    }

    /// The todo updated from its source, if the source is newer. The status follows from the steps
    /// of the log.
    ///
    /// # Errors
    /// The source is different although it is not newer.
    pub fn caught_up(&self, there: &Self) -> Result<Option<Self>, Contradiction> {
        let next = Self { content: there.content.clone(), ..self.clone() };
        match there.updated_at.cmp(&self.updated_at) {
            // If its session was deleted, it was unlinked, which does not count as a change.
            Ordering::Equal if next.clone().linked_to(self.content.session) != *self => {
                Err(Contradiction)
            }
            Ordering::Greater if next != *self => {
                let (updated_at, version) = (there.updated_at, self.version + 1);
                Ok(Some(Self { updated_at, version, ..next }))
            }
            _ => Ok(None),
        }
    }
}

impl<T: Clone + PartialEq> Session<T> {
    /// The session updated from its source. A session that has ended only here stays as it is.
    /// Otherwise the notes of the source win, since sessions do not record when notes changed.
    #[must_use]
    pub fn caught_up(&self, there: &Self) -> Option<Self> {
        let status = match (self.status, there.status) {
            (SessionStatus::Ended { .. }, SessionStatus::Active) => return None,
            (SessionStatus::Ended { at: here, .. }, SessionStatus::Ended { at, .. })
                if at != here =>
            {
                return None;
            }
            // A session can't end before it starts.
            (_, SessionStatus::Ended { at, reason }) => {
                SessionStatus::Ended { at: at.max(self.started_at), reason }
            }
            (SessionStatus::Active, SessionStatus::Active) => SessionStatus::Active,
        };
        let next = Self { status, notes: there.notes.clone(), ..self.clone() };
        (next != *self).then(|| Self { version: self.version + 1, ..next })
    }
}

/// A row that was imported before has different content, although it is not newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction;

/// The number of ids that one mark of [`SeenRows`] covers.
const IDS_PER_MARK: i64 = 256;
/// Most marks; they take at most 4 MiB.
const MARKS_MAX: usize = 57_344;

/// The rows of a file seen so far, as one bit for each id.
#[derive(Debug, Default)]
pub struct SeenRows {
    marks: HashMap<(OriginKind, i64), [u64; 4]>,
    is_full: bool,
}

impl SeenRows {
    /// Adds a row. Returns whether it was there before.
    pub fn insert(&mut self, row: Origin) -> bool {
        let (mark, word, bit) = Self::place(row);
        if self.marks.len() >= MARKS_MAX && !self.marks.contains_key(&mark) {
            self.is_full = true;
            return false;
        }
        let word = &mut self.marks.entry(mark).or_default()[word];
        let had_come = *word & bit != 0;
        *word |= bit;
        had_come
    }

    /// Whether a row was seen; `None` if there were too many rows to remember.
    #[must_use]
    pub fn contains(&self, row: Origin) -> Option<bool> {
        let (mark, word, bit) = Self::place(row);
        let has_come = self.marks.get(&mark).is_some_and(|words| words[word] & bit != 0);
        (!self.is_full).then_some(has_come)
    }

    const fn place(row: Origin) -> ((OriginKind, i64), usize, u64) {
        let id = row.id();
        let within = id.rem_euclid(IDS_PER_MARK) as u64;
        ((row.kind(), id.div_euclid(IDS_PER_MARK)), (within / 64) as usize, 1 << (within % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Claims;
    use super::super::todo::{TodoContent, TodoStatus};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn todo() -> Todo {
        Todo {
            id: TodoId(3),
            uid: Uid::NIL,
            actor: ActorId(1),
            content: TodoContent {
                session: Some(SessionId(2)),
                ..TodoContent::titled("here".to_owned())
            },
            status: TodoStatus::Open,
            claims: Claims::NONE,
            created_at: at(0),
            updated_at: at(10),
            status_since: at(0),
            version: 4,
        }
    }

    #[test]
    fn an_imported_todo_was_not_updated_before_it_was_created() {
        assert_eq!(imported_updated_at(at(5), None), Ok(at(5)));
        for second in [5, 6] {
            assert_eq!(imported_updated_at(at(5), Some(at(second))), Ok(at(second)));
        }
        let early = imported_updated_at(at(5), Some(at(4)));
        assert_eq!(early, Err(Invalid::new("must not be before created_at")));
    }

    #[test]
    fn a_reimported_todo_takes_newer_values_but_keeps_its_status() {
        let there = Todo {
            content: TodoContent::titled("there".to_owned()),
            status: TodoStatus::Done,
            updated_at: at(11),
            ..todo()
        };
        let next = Todo { status: TodoStatus::Open, version: 5, ..there.clone() };
        assert_eq!(todo().caught_up(&there), Ok(Some(next)));
        assert_eq!(todo().caught_up(&Todo { updated_at: at(9), ..there.clone() }), Ok(None));
        let no_newer = Todo { updated_at: at(10), ..there };
        assert_eq!(todo().caught_up(&no_newer), Err(Contradiction));
        // Equal content is no change, and deleting a session removes links to it.
        assert_eq!(todo().caught_up(&Todo { updated_at: at(11), ..todo() }), Ok(None));
        assert_eq!(todo().caught_up(&todo().linked_to(None)), Ok(None));
    }

    #[test]
    fn an_imported_todo_is_updated_no_earlier_than_its_last_log_entry() {
        for (logged, updated) in [(5, 10), (10, 10), (15, 15)] {
            let step = StatusChange {
                id: LogId(1),
                uid: Uid::NIL,
                todo: TodoId(3),
                old_status: TodoStatus::Open,
                new_status: TodoStatus::Done,
                note: None::<String>,
                logged_at: at(logged),
            };
            let next = todo().relive(&step).unwrap();
            assert_eq!((next.updated_at, next.status_since), (at(updated), at(logged)));
        }
    }

    #[test]
    fn a_reimported_session_takes_end_and_notes_unless_only_the_stored_row_has_ended() {
        let active = Session {
            id: SessionId(2),
            uid: Uid::NIL,
            actor: ActorId(1),
            status: SessionStatus::Active,
            notes: Some("here".to_owned()),
            started_at: at(5),
            version: 1,
        };
        let noted = Session { notes: None, ..active.clone() };
        let end = |second| Session { status: SessionStatus::ended(at(second)), ..noted.clone() };
        assert_eq!(active.caught_up(&active), None);
        assert_eq!(active.caught_up(&noted), Some(Session { version: 2, ..noted.clone() }));
        assert_eq!(active.caught_up(&end(6)), Some(Session { version: 2, ..end(6) }));
        // A session can't end before it starts.
        assert_eq!(active.caught_up(&end(4)), Some(Session { version: 2, ..end(5) }));
        assert_eq!(end(6).caught_up(&active), None);
        let other_notes = |second| Session { notes: Some("x".to_owned()), ..end(second) };
        assert_eq!(end(6).caught_up(&other_notes(7)), None);
        let next = Session { version: 2, ..other_notes(6) };
        assert_eq!(end(6).caught_up(&other_notes(6)), Some(next));
    }

    #[test]
    fn seen_rows_are_remembered_up_to_the_maximum_of_marks() {
        let mut seen = SeenRows::default();
        for id in [1, 2, 255, 256, 257] {
            assert!(!seen.insert(Origin::Todo(TodoId(id))), "{id}");
            assert!(seen.insert(Origin::Todo(TodoId(id))), "{id}");
            assert_eq!(seen.contains(Origin::Todo(TodoId(id))), Some(true));
            assert_eq!(seen.contains(Origin::Session(SessionId(id))), Some(false));
        }
        let far =
            |number: usize| Origin::Step(LogId(i64::try_from(number).unwrap() * IDS_PER_MARK));
        for number in 0..MARKS_MAX {
            seen.insert(far(number));
        }
        assert!(!seen.insert(far(MARKS_MAX)));
        assert_eq!(seen.contains(Origin::Todo(TodoId(1))), None);
        assert!(seen.insert(Origin::Todo(TodoId(1))), "what has a mark is told");
    }
}
