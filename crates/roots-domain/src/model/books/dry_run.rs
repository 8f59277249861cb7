//! Deciding what an import would do, without doing it.
//!
//! Each batch is decided by the same rules as one that is written, in books that were only read. What
//! earlier batches would have written is put into them first, as far as a rule can ask for it: that a
//! row is there, whose it is, where a todo stands, which kinds of activity an actor has.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use super::Books;
use crate::model::activity::Activity;
use crate::model::id::{AccountId, ActorId, SessionId, TodoId, Uid};
use crate::model::import::{Import, ImportRow, Imported, Origin};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionStatus};
use crate::model::text::ActivityType;
use crate::model::time::Timestamp;
use crate::model::todo::{Priority, Todo, TodoStatus};
use crate::model::unit::{Applied, AppliedRow, Author, Intent, KeyBearer, Refusal, UnitOfWork};

/// Most marks that a dry run keeps, kinds of activity included: with them it holds at most 5 MiB.
const MARKS_MAX: usize = 57_344;
/// How many ids one mark covers.
const IDS_PER_MARK: i64 = 256;

/// What a dry run remembers of the rows that it would have written. A mark of 32 bytes covers 256 ids
/// that lie together.
#[derive(Debug, Default)]
pub struct DryRun {
    marks: HashMap<(Mark, i64), [u64; 4]>,
    /// Kinds of activity that are new to an actor, as hashes that no caller can foresee.
    kinds: HashSet<(ActorId, u64)>,
    kinds_of: HashMap<ActorId, i64>,
    hasher: RandomState,
}

/// What is known of ids of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Session,
    Todo,
    Step,
    Activity,
    SessionOf(ActorId),
    TodoOf(ActorId),
    /// A todo stands so, in the books or by an earlier line.
    Stands(TodoStatus),
}

impl Mark {
    /// That a row is there.
    const fn of(origin: Origin) -> Option<Self> {
        match origin {
            Origin::Actor(_) => None,
            Origin::Session(_) => Some(Self::Session),
            Origin::Todo(_) => Some(Self::Todo),
            Origin::Step(_) => Some(Self::Step),
            Origin::Activity(_) => Some(Self::Activity),
        }
    }
}

/// The actor of a row that is another's.
const SOMEBODY_ELSE: ActorId = ActorId(0);

impl DryRun {
    /// Decides a unit in books that were read for it. The books are dropped: nothing of them is written.
    /// The cost is what the unit would cost if the balance covered it, and the balance is the account's.
    ///
    /// # Errors
    /// As [`Books::decide_at`], or [`Refusal::DryRunTooLarge`].
    pub fn decide_at(
        &mut self,
        mut books: Books,
        unit: UnitOfWork,
        now: Timestamp,
    ) -> Result<Applied, Refusal> {
        let (Author::Key(KeyBearer { account, .. }), Intent::Import(import)) =
            (unit.author, &unit.intent)
        else {
            return books.decide_at(unit, now);
        };
        if self.marks.len() + self.kinds.len() >= MARKS_MAX {
            return Err(Refusal::DryRunTooLarge);
        }
        let import = import.clone();
        self.prepare(&mut books, account, &import);
        let mut balance = 0;
        if let Some(account) = books.account_mut(account) {
            balance = std::mem::replace(&mut account.balance, i64::MAX);
        }
        let known_kinds = books.kinds.clone();
        let applied = books.decide_at(unit, now)?;
        let AppliedRow::Imported(outcomes) = &applied.row else { return Ok(applied) };
        for (row, outcome) in import.rows.iter().zip(outcomes) {
            if !matches!(outcome, Ok(Imported::New(_))) {
                continue;
            }
            self.learn(row);
            if let ImportRow::Activity(Activity { actor, activity_type, .. }) = row {
                let known = known_kinds.get(&(account, *actor));
                if !known.is_some_and(|kinds| kinds.counts.contains_key(activity_type)) {
                    self.learn_kind(*actor, activity_type);
                }
            }
        }
        Ok(Applied { balance, ..applied })
    }

    /// Puts into the books what earlier batches would have written, as far as this one rests on it. Ids
    /// that were not given are negative.
    fn prepare(&self, books: &mut Books, account: AccountId, import: &Import) {
        for row in &import.rows {
            for origin in [Some(row.origin()), row.link()].into_iter().flatten() {
                self.prepare_row(books, (account, import.source), row.actor(), origin);
            }
            if let ImportRow::Activity(Activity { actor, activity_type, .. }) = row
                && self.kinds.contains(&(*actor, self.hasher.hash_one(activity_type)))
            {
                let kinds = books.kinds.entry((account, *actor)).or_default();
                kinds.counts.insert(activity_type.clone(), 1);
            }
        }
        for ((of, actor), kinds) in &mut books.kinds {
            if *of == account {
                kinds.total += self.kinds_of.get(actor).copied().unwrap_or(0);
            }
        }
    }

    fn prepare_row(
        &self,
        books: &mut Books,
        (account, source): (AccountId, Uid),
        actor: ActorId,
        origin: Origin,
    ) {
        let key = (account, source, origin);
        let is_new = Mark::of(origin).is_some_and(|mark| self.has(mark, origin.id()));
        let owner = |mark| if self.has(mark, origin.id()) { actor } else { SOMEBODY_ELSE };
        if is_new {
            books.imported.insert(key, -origin.id());
        }
        match origin {
            Origin::Session(id) if is_new => {
                let session = session(SessionId(-id.0), owner(Mark::SessionOf(actor)));
                books.load_session(account, session);
            }
            Origin::Todo(id) => {
                let Some(status) = self.status(id) else { return };
                let Some(here) = books.imported.get(&key).map(|id| TodoId(*id)) else { return };
                let stands = if is_new {
                    Some(todo(here, owner(Mark::TodoOf(actor))))
                } else {
                    books.todos.get((account, here)).cloned()
                };
                if let Some(stands) = stands {
                    books.load_todo(account, Todo { status, ..stands });
                }
            }
            _ => {}
        }
    }

    fn learn(&mut self, row: &ImportRow) {
        match row {
            ImportRow::Session(session) => {
                self.set(Mark::Session, session.id.0, true);
                self.set(Mark::SessionOf(session.actor), session.id.0, true);
            }
            ImportRow::Todo(todo) => {
                self.set(Mark::Todo, todo.id.0, true);
                self.set(Mark::TodoOf(todo.actor), todo.id.0, true);
                self.set(Mark::Stands(todo.status), todo.id.0, true);
            }
            ImportRow::Step(_, step) => {
                self.set(Mark::Step, step.id.0, true);
                self.set(Mark::Stands(step.old_status), step.todo.0, false);
                self.set(Mark::Stands(step.new_status), step.todo.0, true);
            }
            ImportRow::Activity(activity) => self.set(Mark::Activity, activity.id.0, true),
        }
    }

    fn learn_kind(&mut self, actor: ActorId, kind: &ActivityType) {
        if self.kinds.insert((actor, self.hasher.hash_one(kind))) {
            *self.kinds_of.entry(actor).or_default() += 1;
        }
    }

    #[cfg(test)]
    pub(super) fn marks(&self) -> usize {
        self.marks.len() + self.kinds.len()
    }

    fn status(&self, id: TodoId) -> Option<TodoStatus> {
        TodoStatus::ALL.into_iter().find(|status| self.has(Mark::Stands(*status), id.0))
    }

    fn has(&self, mark: Mark, id: i64) -> bool {
        let (chunk, word, bit) = place(id);
        self.marks.get(&(mark, chunk)).is_some_and(|bits| bits[word] & bit != 0)
    }

    fn set(&mut self, mark: Mark, id: i64, holds: bool) {
        let (chunk, word, bit) = place(id);
        if holds {
            self.marks.entry((mark, chunk)).or_default()[word] |= bit;
        } else if let Some(bits) = self.marks.get_mut(&(mark, chunk)) {
            bits[word] &= !bit;
        }
    }
}

/// The chunk of an id, and its bit there.
const fn place(id: i64) -> (i64, usize, u64) {
    let within = id.rem_euclid(IDS_PER_MARK) as u64;
    (id.div_euclid(IDS_PER_MARK), (within / 64) as usize, 1 << (within % 64))
}

/// A session, as far as a link to it asks.
const fn session(id: SessionId, actor: ActorId) -> Session<Sealed> {
    Session {
        id,
        uid: Uid::NIL,
        actor,
        status: SessionStatus::Active,
        notes: None,
        started_at: Timestamp::FIRST,
        ended_at: None,
        version: 1,
    }
}

/// A todo, as far as a step of it asks.
fn todo(id: TodoId, actor: ActorId) -> Todo<Sealed> {
    Todo {
        id,
        uid: Uid::NIL,
        actor,
        session: None,
        title: Sealed(Vec::new()),
        description: None,
        status: TodoStatus::Open,
        priority: Priority::default(),
        due_at: None,
        created_at: Timestamp::FIRST,
        updated_at: Timestamp::FIRST,
        version: 1,
    }
}
