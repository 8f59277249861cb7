//! Todos, and the log of their status changes.

use std::cell::RefCell;

use super::claim::Claims;
use super::etag::EntityTag;
use super::id::{ActorId, LogId, SessionId, TodoId, Uid};
use super::page::{Listed, SortKey};
use super::sealed::Field;
use super::text::{LongText, Title};
use super::time::Timestamp;
use super::{Invalid, Patch};

/// The status of a todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TodoStatus {
    /// Not begun.
    Open,
    /// Begun.
    InProgress,
    /// Finished.
    Done,
    /// Given up.
    Cancelled,
}

impl TodoStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Open, Self::InProgress, Self::Done, Self::Cancelled];

    /// Its name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The instant from which a todo with this status and due date is overdue, if it ever is: right
    /// after its due date, while it is to be done.
    #[must_use]
    pub fn overdue_from(self, due_at: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Open | Self::InProgress => due_at.map(Timestamp::just_after),
            Self::Done | Self::Cancelled => None,
        }
    }

    /// The other statuses that a todo may change to from this one.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Open => &[Self::InProgress, Self::Done, Self::Cancelled],
            Self::InProgress => &[Self::Open, Self::Done, Self::Cancelled],
            Self::Done | Self::Cancelled => &[Self::Open, Self::InProgress],
        }
    }
}

/// The priority of a todo: 0 (lowest, the default) to 3 (highest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i16);

impl Priority {
    /// Every priority, ascending.
    pub const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];

    /// The priority with that number.
    ///
    /// # Errors
    /// Says the range.
    pub fn parse(number: i64) -> Result<Self, Invalid> {
        match i16::try_from(number) {
            Ok(level @ 0..=3) => Ok(Self(level)),
            _ => Err(Self::out_of_range()),
        }
    }

    /// The priority that a text of one digit names.
    ///
    /// # Errors
    /// Says the range.
    pub fn from_digit(text: &str) -> Result<Self, Invalid> {
        match text.as_bytes() {
            [digit @ b'0'..=b'3'] => Ok(Self(i16::from(digit - b'0'))),
            _ => Err(Self::out_of_range()),
        }
    }

    fn out_of_range() -> Invalid {
        Invalid::new("must be 0 (lowest) to 3 (highest)")
    }

    /// The number.
    #[must_use]
    pub const fn level(self) -> i16 {
        self.0
    }
}

/// What a todo says: the fields that its actor gives it, and changes by a patch. `T` is the type of
/// its title and `L` that of its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoContent<T = String, L = T> {
    /// The task.
    pub title: T,
    /// Its description.
    pub description: Option<L>,
    /// The session it is linked to, of the same actor.
    pub session: Option<SessionId>,
    /// Its priority.
    pub priority: Priority,
    /// When it is due.
    pub due_at: Option<Timestamp>,
}

impl<T, L> TodoContent<T, L> {
    /// A title, and nothing else.
    pub const fn titled(title: T) -> Self {
        Self { title, description: None, session: None, priority: Priority(0), due_at: None }
    }

    /// Maps its title and its description.
    ///
    /// # Errors
    /// The error of a mapping.
    pub fn try_map_texts<U, E>(
        self,
        map_title: impl FnOnce(T) -> Result<U, E>,
        map_description: impl FnOnce(L) -> Result<U, E>,
    ) -> Result<TodoContent<U>, E> {
        let Self { title, description, session, priority, due_at } = self;
        let title = map_title(title)?;
        let description = description.map(map_description).transpose()?;
        Ok(TodoContent { title, description, session, priority, due_at })
    }
}

impl TodoContent<Title, LongText> {
    /// Seals its texts with `seal`.
    ///
    /// # Errors
    /// The error of `seal`.
    pub fn try_seal<U, E>(
        self,
        seal: impl Fn(Field, &str) -> Result<U, E>,
    ) -> Result<TodoContent<U>, E> {
        self.try_map_texts(
            |title| seal(Field::TodoTitle, title.as_str()),
            |description| seal(Field::TodoDescription, description.as_str()),
        )
    }
}

/// A todo. `T` is its text: [`String`] when open, [`super::sealed::Sealed`] at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo<T = String> {
    /// Its id within the account.
    pub id: TodoId,
    /// Its identity.
    pub uid: Uid,
    /// The actor that the todo belongs to.
    pub actor: ActorId,
    /// What it says.
    pub content: TodoContent<T>,
    /// Its status.
    pub status: TodoStatus,
    /// Its claims. One stands only while it is in progress.
    pub claims: Claims,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by a patch or claimed.
    pub updated_at: Timestamp,
    /// When its status last changed: the time of the last entry of its log. If the log is empty, it
    /// is when the todo was made.
    pub status_since: Timestamp,
    /// Counts its changes, unlinking included, from 1.
    pub version: i64,
}

impl<T> Todo<T> {
    /// The tag of its current state.
    pub const fn tag(&self) -> EntityTag {
        EntityTag { uid: self.uid, version: self.version }
    }

    /// The same todo with that link.
    #[must_use]
    pub fn linked_to(mut self, session: Option<SessionId>) -> Self {
        self.content.session = session;
        self
    }

    /// Removes its link if it is to that deleted session. Callers see the change, so the version
    /// rises.
    pub fn unlink(&mut self, deleted: SessionId) {
        if self.content.session == Some(deleted) {
            self.content.session = None;
            self.version += 1;
        }
    }

    /// Its texts, without those of its log.
    pub fn texts(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.content.title).chain(&self.content.description)
    }

    /// The same todo in that status. Leaving `in_progress` ends its claim.
    #[must_use]
    pub fn in_status(mut self, status: TodoStatus) -> Self {
        self.status = status;
        if status != TodoStatus::InProgress {
            self.claims = self.claims.ended();
        }
        self
    }

    /// Maps its texts with `change`.
    ///
    /// # Errors
    /// The error of `change`.
    pub fn try_map_text<U, E>(
        self,
        change: impl FnMut(Field, T) -> Result<U, E>,
    ) -> Result<Todo<U>, E> {
        let Self {
            id,
            uid,
            actor,
            content,
            status,
            claims,
            created_at,
            updated_at,
            status_since,
            version,
        } = self;
        let change = RefCell::new(change);
        let content = content.try_map_texts(
            |title| change.borrow_mut()(Field::TodoTitle, title),
            |description| change.borrow_mut()(Field::TodoDescription, description),
        )?;
        Ok(Todo {
            id,
            uid,
            actor,
            content,
            status,
            claims,
            created_at,
            updated_at,
            status_since,
            version,
        })
    }

    /// The instant from which it is overdue, as long as it stays as it is.
    pub fn overdue_from(&self) -> Option<Timestamp> {
        self.status.overdue_from(self.content.due_at)
    }

    /// Its position in a list by the time of the last change of status.
    pub fn position_by_status_since(&self) -> SortKey {
        SortKey([0, self.status_since.micros(), self.id.0])
    }

    /// Its position in a list by the time of its creation.
    pub fn position_by_creation(&self) -> SortKey {
        SortKey([0, self.created_at.micros(), self.id.0])
    }

    /// Its position in a list by the due date. One without a due date comes last.
    pub fn position_by_due_date(&self) -> SortKey {
        SortKey([0, self.content.due_at.map_or(i64::MAX, Timestamp::micros), self.id.0])
    }
}

impl<T> Listed for Todo<T> {
    fn sort_key(&self) -> SortKey {
        SortKey([self.content.priority.level().into(), self.created_at.micros(), self.id.0])
    }
}

/// A todo in a list. What moves by itself is only here: a version does not count it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTodo<T = String> {
    /// The todo.
    pub todo: Todo<T>,
    /// Until when the claim that stands lives. It has lapsed if that is past.
    pub until: Option<Timestamp>,
}

impl<T> Listed for ListedTodo<T> {
    fn sort_key(&self) -> SortKey {
        self.todo.sort_key()
    }
}

/// A todo to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTodo<T, L = T> {
    /// The actor that the todo will belong to; the caller if absent. Its texts are sealed with that
    /// actor's keys.
    pub actor: Option<ActorId>,
    /// What it says. A session that it names must be active.
    pub content: TodoContent<T, L>,
}

/// Most todos of one write.
pub const NEW_TODOS_MAX: usize = 20;

/// The todos that one write creates together: 1 to [`NEW_TODOS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTodos<T>(Vec<T>);

impl<T> NewTodos<T> {
    /// The list, if it is neither empty nor too long.
    ///
    /// # Errors
    /// Says how many todos it may have.
    pub fn new(todos: Vec<T>) -> Result<Self, Invalid> {
        if (1..=NEW_TODOS_MAX).contains(&todos.len()) {
            return Ok(Self(todos));
        }
        Err(Invalid::new(format!("must be a list of 1 to {NEW_TODOS_MAX} todos")))
    }

    /// The todos.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// Maps each with its index.
    ///
    /// # Errors
    /// The error of the first mapping that fails.
    pub fn try_map<U, E>(
        self,
        mut map: impl FnMut(usize, T) -> Result<U, E>,
    ) -> Result<NewTodos<U>, E> {
        let mapped = self.0.into_iter().enumerate().map(|(index, todo)| map(index, todo));
        Ok(NewTodos(mapped.collect::<Result<_, E>>()?))
    }
}

impl<T> IntoIterator for NewTodos<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A change to a todo. `T`, `L` and `N` are its title, its description and its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoPatch<T, L = T, N = T> {
    /// A new title.
    pub title: Option<T>,
    /// The change of the description.
    pub description: Patch<L>,
    /// The new status.
    pub status: Option<TodoStatus>,
    /// A new priority.
    pub priority: Option<Priority>,
    /// The change of the due date.
    pub due_at: Patch<Timestamp>,
    /// The change of the link.
    pub session: Patch<SessionId>,
    /// A note for the log of the status change.
    pub note: Option<N>,
}

impl<T, L, N> TodoPatch<T, L, N> {
    /// A patch that changes no field.
    pub const EMPTY: Self = Self {
        title: None,
        description: Patch::Keep,
        status: None,
        priority: None,
        due_at: Patch::Keep,
        session: Patch::Keep,
        note: None,
    };

    /// Whether it changes no field.
    pub fn is_empty(&self) -> bool
    where
        Self: PartialEq,
    {
        *self == Self::EMPTY
    }

    /// Maps its title, its description and its note.
    ///
    /// # Errors
    /// The error of a mapping.
    pub fn try_map_texts<U, E>(
        self,
        map_title: impl FnOnce(T) -> Result<U, E>,
        map_description: impl FnOnce(L) -> Result<U, E>,
        map_note: impl FnOnce(N) -> Result<U, E>,
    ) -> Result<TodoPatch<U>, E> {
        let Self { title, description, status, priority, due_at, session, note } = self;
        let title = title.map(map_title).transpose()?;
        let description = description.try_map(map_description)?;
        let note = note.map(map_note).transpose()?;
        Ok(TodoPatch { title, description, status, priority, due_at, session, note })
    }
}

/// One status change of a todo, written with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange<T = String> {
    /// Its id within the account.
    pub id: LogId,
    /// Its identity.
    pub uid: Uid,
    /// The todo.
    pub todo: TodoId,
    /// The status before.
    pub old_status: TodoStatus,
    /// The status after.
    pub new_status: TodoStatus,
    /// The note on it.
    pub note: Option<T>,
    /// When.
    pub logged_at: Timestamp,
}

/// A patch that a todo refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoRefusal {
    /// The step is not allowed.
    Forbidden {
        /// Its status.
        from: TodoStatus,
        /// The requested status.
        to: TodoStatus,
    },
    /// The note would be lost: the status does not change.
    NoteWithoutChange,
}

impl<T> StatusChange<T> {
    /// Maps its note with `change`.
    ///
    /// # Errors
    /// The error of `change`.
    pub fn try_map_text<U, E>(
        self,
        mut change: impl FnMut(Field, T) -> Result<U, E>,
    ) -> Result<StatusChange<U>, E> {
        let Self { id, uid, todo, old_status, new_status, note, logged_at } = self;
        let note = note.map(|text| change(Field::LogNote, text)).transpose()?;
        Ok(StatusChange { id, uid, todo, old_status, new_status, note, logged_at })
    }
}

impl<T: Clone + PartialEq> Todo<T> {
    /// The todo after `patch`. To know whether to add to the log, compare the statuses. A patch
    /// that changes nothing keeps `updated_at` and the version.
    ///
    /// # Errors
    /// The step is not allowed, or there is a note without a change of status.
    pub fn patch(&self, patch: TodoPatch<T>, at: Timestamp) -> Result<Self, TodoRefusal> {
        let mut next = self.clone();
        if let Some(to) = patch.status {
            if to != self.status && !self.status.next().contains(&to) {
                return Err(TodoRefusal::Forbidden { from: self.status, to });
            }
            next = next.in_status(to);
        }
        if patch.note.is_some() && next.status == self.status {
            return Err(TodoRefusal::NoteWithoutChange);
        }
        let content = next.content;
        next.content = TodoContent {
            title: patch.title.unwrap_or(content.title),
            description: patch.description.apply(content.description),
            session: patch.session.apply(content.session),
            priority: patch.priority.unwrap_or(content.priority),
            due_at: patch.due_at.apply(content.due_at),
        };
        if next != *self {
            next.updated_at = at.max(self.updated_at);
            next.version += 1;
        }
        if next.status != self.status {
            next.status_since = next.updated_at;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
