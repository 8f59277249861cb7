//! The brief: what an agent has to know when it wakes.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::keyrings::Keyrings;
use super::outcome::ReadError;
use super::sealing::open_text;
use crate::command::Refusal;
use crate::model::activity::Activity;
use crate::model::brief::{Brief, BriefActors, BriefChange, BriefRows, BriefText};
use crate::model::id::{ActorId, SessionId, Uid};
use crate::model::sealed::{Field, Sealed};
use crate::model::session::ListedSession;
use crate::model::time::Timestamp;
use crate::model::todo::ListedTodo;
use crate::port::clock::Clock;
use crate::port::store::{AccountReader, BriefQuery, BriefReader, StoreResult};

/// Most rows of a list.
const ROWS_MAX: usize = 50;
/// Fewest rows of a list that are read.
const ROWS_MIN: usize = 8;
/// For each so many bytes of the answer, a row of each list is read.
const BYTES_PER_ROW: usize = 320;

/// Tells what an agent has to know when it wakes.
#[derive(Clone)]
pub struct Briefs {
    /// Reads keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads sealed texts.
    pub reader: Arc<dyn BriefReader>,
    /// Tells the time, by which deadlines are judged.
    pub clock: Arc<dyn Clock>,
}

/// A brief that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefRequest {
    /// The start of what is reported; `None` for the end of the last session.
    pub since: Option<Timestamp>,
    /// The actors.
    pub scope: ActorScope,
    /// The session that the reader works in, if it names one.
    pub session: Option<SessionId>,
    /// Most bytes of the answer.
    pub max_bytes: usize,
}

impl BriefRequest {
    /// The actors that the brief is about.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`].
    pub fn actors(&self, caller: &Caller) -> Result<BriefActors, Refusal> {
        Ok(BriefActors { caller: caller.actor.id, chosen: caller.choose(self.scope)? })
    }

    /// The most rows of a list: as many as may fit, and not more than the largest answer needs.
    fn rows(&self) -> usize {
        (self.max_bytes / BYTES_PER_ROW).clamp(ROWS_MIN, ROWS_MAX)
    }
}

/// The rows of a brief with sealed texts; `None` stands for a text that is too long to be read.
pub type SealedBrief = BriefRows<Option<Sealed>>;

impl Briefs {
    /// The rows of a brief with sealed texts.
    ///
    /// # Errors
    /// The refusal, which is [`Refusal::NotFound`] if the session does not exist or is not one of
    /// these actors, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        request: BriefRequest,
    ) -> Result<SealedBrief, ReadError> {
        let query = BriefQuery {
            by: caller.admission(),
            actor: request.actors(caller)?.chosen,
            reader: request.session,
            since: request.since,
            rows: u32::try_from(request.rows()).unwrap_or(u32::MAX),
        };
        let rows = self.reader.brief(&query, self.clock.clone()).await?;
        if rows.reader != request.session {
            return Err(Refusal::NotFound("session").into());
        }
        Ok(rows)
    }

    /// The brief of these rows. [`crate::model::brief::fit`] makes it as small as was asked for.
    ///
    /// # Errors
    /// A database error, or an unreadable text.
    pub async fn open(
        &self,
        caller: &Caller,
        request: BriefRequest,
        rows: SealedBrief,
    ) -> Result<Brief, ReadError> {
        let keys = self.keys(caller, &rows).await?;
        Ok(Brief::of(opened(&keys, rows)?, request.rows()))
    }

    async fn keys(&self, caller: &Caller, rows: &SealedBrief) -> StoreResult<Keyrings> {
        let texts = rows.texts().filter_map(|(actor, text)| Some((actor, [text.as_ref()?])));
        Keyrings::of(&*self.accounts, caller, texts).await
    }
}

/// The same rows with opened texts.
fn opened(keys: &Keyrings, rows: SealedBrief) -> Result<BriefRows<BriefText>, ReadError> {
    let BriefRows { at, since, reader, session, todos, working, .. } = rows;
    let BriefRows { waiting, activities, status_changes, counts, .. } = rows;
    let activity = |row: Activity<Option<Sealed>>| {
        let of = TextsOf { keys, actor: row.actor, row: row.uid, named: ("activity", row.id.0) };
        row.try_map_text(|field, text| of.open(field, text))
    };
    let session = session.map(|ListedSession { session, last_active_at }| {
        let named = ("session", session.id.0);
        let of = TextsOf { keys, actor: session.actor, row: session.uid, named };
        let session = session.try_map_text(|field, text| of.open(field, text))?;
        Ok::<_, ReadError>(ListedSession { session, last_active_at })
    });
    let todo = |ListedTodo { todo, until }: ListedTodo<Option<Sealed>>| {
        let of = TextsOf { keys, actor: todo.actor, row: todo.uid, named: ("todo", todo.id.0) };
        let todo = todo.try_map_text(|field, text| of.open(field, text))?;
        Ok::<_, ReadError>(ListedTodo { todo, until })
    };
    let change = |BriefChange { actor, todo_uid, title, change }: BriefChange<Option<Sealed>>| {
        let named = ("todo", change.todo.0);
        let of_todo = TextsOf { keys, actor, row: todo_uid, named };
        let of_change = TextsOf { keys, actor, row: change.uid, named };
        let title = of_todo.open(Field::TodoTitle, title)?;
        let change = change.try_map_text(|field, text| of_change.open(field, text))?;
        Ok::<_, ReadError>(BriefChange { actor, todo_uid, title, change })
    };
    Ok(BriefRows {
        at,
        since,
        reader,
        session: session.transpose()?,
        todos: todos.into_iter().map(todo).collect::<Result<_, _>>()?,
        working,
        waiting: waiting.into_iter().map(activity).collect::<Result<_, _>>()?,
        activities: activities.into_iter().map(activity).collect::<Result<_, _>>()?,
        status_changes: status_changes.into_iter().map(change).collect::<Result<_, _>>()?,
        counts,
    })
}

/// The texts of a row, to open them.
struct TextsOf<'a> {
    keys: &'a Keyrings,
    actor: ActorId,
    row: Uid,
    /// The kind of its item and that item's id.
    named: (&'static str, i64),
}

impl TextsOf<'_> {
    fn open(&self, field: Field, text: Option<Sealed>) -> Result<BriefText, ReadError> {
        let Some(text) = text else { return Ok(BriefText::hidden()) };
        let keys = self.keys.of_row(self.actor)?;
        open_text(&**keys, (self.row, self.named), field, &text).map(BriefText::whole)
    }
}
