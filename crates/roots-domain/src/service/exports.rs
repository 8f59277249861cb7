//! Exports: all rows of an actor or an account, decrypted, in chunks.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use super::access::{Access, Caller};
use super::keyrings::Keyrings;
use super::outcome::ReadError;
use crate::command::{Action, Command, Refusal, TransferAction};
use crate::model::account::{Account, Actor, Role};
use crate::model::activity::Activity;
use crate::model::id::{ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::session::Session;
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo, TodoStatus};
use crate::port::archive::{ArchiveReader, CHUNK_MAX_ROWS, ExportScope};
use crate::port::crypto::{CryptoError, Keyring, Lookup};
use crate::port::store::{Admission, ApplyError, StoreError, StoreResult};

/// The version of the export format.
pub const FORMAT: u32 = 1;

/// Exports.
#[derive(Clone)]
pub struct Exports {
    /// Checks whether a key still admits its bearer.
    pub access: Access,
    /// Reads the rows to export.
    pub reader: Arc<dyn ArchiveReader>,
}

/// A text, if it opens.
pub type Legible = Result<String, CryptoError>;

/// An exported item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An actor.
    Actor(Actor),
    /// A session.
    Session(Session<Legible>),
    /// A todo, and its status before the first step of its log. Its steps follow.
    Todo(Todo<Legible>, TodoStatus),
    /// A step of the preceding todo, and that todo's actor.
    Step(ActorId, StatusChange<Legible>),
    /// An activity.
    Activity(Activity<Legible>),
}

/// The header of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHeader {
    /// The exported account. All ids of the export are ids of this account.
    pub account: Account,
    /// The only actor whose rows are exported; `None` for all actors.
    pub actor: Option<ActorId>,
    /// When it began. Newer rows are left out.
    pub at: Timestamp,
}

impl Exports {
    /// Begins an export of the account for its owner, or of one actor's rows for a member or if
    /// `actor` is given. An owner's export is first noted in the audit log. If the database accepts
    /// no writes, the export continues without that ([`Export::unnoted`]).
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`] for a member that names another actor, [`Refusal::NeedsApiKey`] for a
    /// browser key, [`Refusal::KeyNotInForce`], or a database error.
    pub async fn begin(
        &self,
        caller: Arc<Caller>,
        lookup: Lookup,
        actor: Option<ActorId>,
    ) -> Result<Export, ReadError> {
        let actor = exported(&caller, actor)?;
        let at = self.access.clock.now();
        let header = self.header_of(&caller, actor, at).await?;
        let mut unnoted = None;
        if caller.actor.role == Role::Owner {
            let action = Action::Transfer(caller.bearer(), TransferAction::NoteExport { actor });
            let note = Command::uncharged(action, at);
            match self.access.commands.apply(note).await {
                Ok(_) => {}
                Err(ApplyError::Refused(refusal)) => return Err(refusal.into()),
                Err(ApplyError::Store(error)) => unnoted = Some(error),
            }
        }
        let of = ExportScope { account: header.account.id, actor, given: header.account.last_ids };
        Ok(Export {
            exports: self.clone(),
            by: caller.admission(),
            caller,
            lookup,
            of,
            stage: Stage::Actors,
            unnoted,
            broken: None,
            header,
        })
    }

    /// The header of an export. It contains no rows, so it is not noted.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn header(
        &self,
        caller: &Caller,
        actor: Option<ActorId>,
    ) -> Result<ExportHeader, ReadError> {
        self.header_of(caller, exported(caller, actor)?, self.access.clock.now()).await
    }

    async fn header_of(
        &self,
        caller: &Caller,
        actor: Option<ActorId>,
        at: Timestamp,
    ) -> Result<ExportHeader, ReadError> {
        let account = self.access.reader.account(caller.account.id).await?;
        // An erased account does not have the epoch either.
        let is_same = |account: &Account| account.auth_epoch == caller.auth_epoch;
        let account = account.filter(is_same).ok_or(StoreError::EpochMoved)?;
        Ok(ExportHeader { account, actor, at })
    }
}

/// The actor whose rows a caller exports; `None` for everyone's.
fn exported(caller: &Caller, actor: Option<ActorId>) -> Result<Option<ActorId>, Refusal> {
    caller.check_api_key()?;
    match (actor, caller.actor.role) {
        (Some(named), _) if !caller.reaches(named) => Err(Refusal::OwnerOnly),
        (None, Role::Member) => Ok(Some(caller.actor.id)),
        (actor, _) => Ok(actor),
    }
}

/// A running export. It holds one chunk at a time, and no database resources between two chunks.
pub struct Export {
    exports: Exports,
    caller: Arc<Caller>,
    lookup: Lookup,
    /// The admission from the last look-up of its key.
    by: Admission,
    of: ExportScope,
    stage: Stage,
    /// Why it was not noted.
    unnoted: Option<StoreError>,
    /// The first error of keys that could not be read.
    broken: Option<StoreError>,
    header: ExportHeader,
}

/// The stage of an export, with the id to continue after; `None` for the first rows.
enum Stage {
    Actors,
    Sessions(Option<i64>),
    Todos(Option<i64>),
    Logs(Chapter),
    Activities(Option<i64>),
    Over,
}

/// A chunk of todos whose logs are being read.
struct Chapter {
    /// The todos whose steps follow, each with a flag whether the todo itself was returned.
    todos: VecDeque<(Todo<Sealed>, bool)>,
    /// The log entry to continue after, if one was returned.
    after: Option<(TodoId, LogId)>,
    /// The todo to continue after, once these are done.
    next: Option<i64>,
}

impl Export {
    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &ExportHeader {
        &self.header
    }

    /// Why it is not in the audit log, if it should be.
    #[must_use]
    pub const fn unnoted(&self) -> Option<&StoreError> {
        self.unnoted.as_ref()
    }

    /// The next items. The list may be empty although more follow. `None` at the end.
    ///
    /// # Errors
    /// The key has ended meanwhile, or there was a database error. If the keys of an actor could
    /// not be read, the error is returned at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, ReadError> {
        self.check(matches!(self.stage, Stage::Over)).await?;
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let (records, stage) = match stage {
            Stage::Actors => (self.actors().await?, Stage::Sessions(None)),
            Stage::Sessions(after) => self.sessions(after).await?,
            Stage::Todos(after) => self.todos(after).await?,
            Stage::Logs(chapter) => self.logs(chapter).await?,
            Stage::Activities(after) => self.activities(after).await?,
            Stage::Over => return self.broken.take().map_or(Ok(None), |error| Err(error.into())),
        };
        self.stage = stage;
        Ok(Some(records))
    }

    /// Checks before each chunk that the account's auth epoch is the same. If it is not, and at the
    /// end, it looks the key up again: rows of an account that is being erased must not look like
    /// rows that never existed.
    async fn check(&mut self, is_last: bool) -> Result<(), ReadError> {
        let access = &self.exports.access;
        access.check_expiry(&self.caller)?;
        let moved = match access.reader.check(self.by).await {
            Ok(()) => false,
            Err(StoreError::EpochMoved) => true,
            Err(error) => return Err(error.into()),
        };
        if is_last || moved {
            self.by = access.check_again(self.lookup).await?.admission;
        }
        Ok(())
    }

    async fn actors(&self) -> StoreResult<Vec<Record>> {
        let mut actors = self.exports.access.reader.actors(self.of.account).await?;
        actors.retain(|actor| self.of.actor.is_none_or(|wanted| wanted == actor.id));
        Ok(actors.into_iter().map(Record::Actor).collect())
    }

    async fn sessions(&mut self, after: Option<i64>) -> StoreResult<(Vec<Record>, Stage)> {
        let chunk = self.exports.reader.sessions_after(self.of, after).await?;
        let texts = chunk.rows.iter().map(|row| (row.actor, row.texts().collect()));
        let keys = self.keys(texts).await?;
        let open = |session| Record::Session(open_session(&keys, session));
        let stage = chunk.next.map_or(Stage::Todos(None), |next| Stage::Sessions(Some(next)));
        Ok((chunk.rows.into_iter().map(open).collect(), stage))
    }

    async fn todos(&mut self, after: Option<i64>) -> StoreResult<(Vec<Record>, Stage)> {
        let chunk = self.exports.reader.todos_after(self.of, after).await?;
        let todos = chunk.rows.into_iter().map(|todo| (todo, false)).collect();
        let chapter = Chapter { todos, after: None, next: chunk.next };
        self.logs(chapter).await
    }

    /// Logs are read after their todos. If a todo took a step in between, the export has the step,
    /// and the todo's status before it.
    async fn logs(&mut self, mut chapter: Chapter) -> StoreResult<(Vec<Record>, Stage)> {
        let todos: Vec<_> = chapter.todos.iter().map(|(todo, _)| todo.id).collect();
        let reader = &self.exports.reader;
        let steps = if todos.is_empty() {
            Vec::new()
        } else {
            reader.steps_of(self.of.account, &todos, chapter.after).await?
        };
        let of_todos = chapter.todos.iter().map(|(todo, _)| (todo.actor, todo.texts().collect()));
        let actors: BTreeMap<_, _> =
            chapter.todos.iter().map(|(todo, _)| (todo.id, todo.actor)).collect();
        let of_steps = steps.iter().filter_map(|step| {
            Some((*actors.get(&step.todo)?, step.note.iter().collect::<Vec<_>>()))
        });
        let keys = self.keys(of_todos.chain(of_steps)).await?;
        let is_last = steps.len() < usize::from(CHUNK_MAX_ROWS);
        let mut records = Vec::new();
        for step in steps {
            chapter.after = Some((step.todo, step.id));
            records.extend(self.todo_records_before(&mut chapter.todos, Some(step.todo), &keys));
            let Some((todo, is_recorded)) = chapter.todos.front_mut() else { break };
            if !*is_recorded {
                records.push(self.todo_record(todo.clone(), step.old_status, &keys));
                *is_recorded = true;
            }
            let actor = todo.actor;
            records.push(Record::Step(actor, open_step(keys.find(actor), step)));
        }
        if !is_last {
            return Ok((records, Stage::Logs(chapter)));
        }
        records.extend(self.todo_records_before(&mut chapter.todos, None, &keys));
        let stage = chapter.next.map_or(Stage::Activities(None), |next| Stage::Todos(Some(next)));
        Ok((records, stage))
    }

    /// The todos before that one, or all. They have no more steps.
    fn todo_records_before(
        &self,
        todos: &mut VecDeque<(Todo<Sealed>, bool)>,
        before: Option<TodoId>,
        keys: &Keyrings,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let is_due = |todo: &Todo<Sealed>| before.is_none_or(|before| todo.id < before);
        while let Some((todo, is_recorded)) = todos.pop_front_if(|(todo, _)| is_due(todo)) {
            if !is_recorded {
                let status = todo.status;
                records.push(self.todo_record(todo, status, keys));
            }
        }
        records
    }

    fn todo_record(&self, todo: Todo<Sealed>, first_status: TodoStatus, keys: &Keyrings) -> Record {
        let session = self.known(todo.content.session);
        Record::Todo(open_todo(keys, todo).linked_to(session), first_status)
    }

    async fn activities(&mut self, after: Option<i64>) -> StoreResult<(Vec<Record>, Stage)> {
        let chunk = self.exports.reader.activities_after(self.of, after).await?;
        let texts = chunk.rows.iter().map(|row| (row.actor, row.texts().collect()));
        let keys = self.keys(texts).await?;
        let open = |activity: Activity<Sealed>| {
            let session = self.known(activity.session);
            Record::Activity(Activity { session, ..open_activity(&keys, activity) })
        };
        let stage = chunk.next.map_or(Stage::Over, |next| Stage::Activities(Some(next)));
        Ok((chunk.rows.into_iter().map(open).collect(), stage))
    }

    /// Drops a link to a session that is newer than the export.
    fn known(&self, session: Option<SessionId>) -> Option<SessionId> {
        session.filter(|id| id.0 <= self.of.given.session)
    }

    /// The keys of those actors, to open these texts, as far as they can be read. If a wrap is
    /// missing, texts are unreadable; the export continues with all other rows, but ends with an
    /// error.
    async fn keys<'a>(
        &mut self,
        texts: impl Iterator<Item = (ActorId, Vec<&'a Sealed>)>,
    ) -> StoreResult<Keyrings> {
        let reader = &*self.exports.access.reader;
        let (keys, broken) = Keyrings::of_readable(reader, &self.caller, texts).await?;
        self.broken = self.broken.take().or(broken);
        Ok(keys)
    }
}

/// Opens the texts of a row. Those that do not open become errors.
fn opener(
    keys: Option<&Arc<dyn Keyring>>,
    row: Uid,
) -> impl FnMut(Field, Sealed) -> Result<Legible, Infallible> {
    move |field, sealed| {
        let keys = keys.ok_or(CryptoError::WrapMissing);
        Ok(keys.and_then(|keys| keys.open(TextPlace { field, row }, &sealed)))
    }
}

fn open_session(keys: &Keyrings, session: Session<Sealed>) -> Session<Legible> {
    let open = opener(keys.find(session.actor), session.uid);
    let Ok(opened) = session.try_map_text(open);
    opened
}

fn open_todo(keys: &Keyrings, todo: Todo<Sealed>) -> Todo<Legible> {
    let open = opener(keys.find(todo.actor), todo.uid);
    let Ok(opened) = todo.try_map_text(open);
    opened
}

fn open_step(keys: Option<&Arc<dyn Keyring>>, step: StatusChange<Sealed>) -> StatusChange<Legible> {
    let open = opener(keys, step.uid);
    let Ok(opened) = step.try_map_text(open);
    opened
}

fn open_activity(keys: &Keyrings, activity: Activity<Sealed>) -> Activity<Legible> {
    let open = opener(keys.find(activity.actor), activity.uid);
    let Ok(opened) = activity.try_map_text(open);
    opened
}
