//! Dry runs: decide what an import would do, without doing it.
//!
//! Each batch is decided by the same rules as a real one, in a working set that was only read.
//! First, the rows that earlier batches would have written are added, as far as rules depend on
//! them: that a row exists, its owner, a todo's status, an actor's activity types.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use super::working_set::WorkingSet;
use crate::command::{Action, Applied, AppliedRow, Command, Refusal, TransferAction};
use crate::model::activity::Activity;
use crate::model::bearer::KeyBearer;
use crate::model::claim::Claims;
use crate::model::id::{AccountId, ActorId, SessionId, TodoId, Uid};
use crate::model::import::{Import, ImportRow, Imported, Origin};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionStatus};
use crate::model::text::ActivityType;
use crate::model::time::Timestamp;
use crate::model::todo::{Todo, TodoContent, TodoStatus};

/// Most marks that a dry run keeps, including activity types and actors: at most 5 MiB. That
/// many fit into a hash table of 2^16 places.
const MARKS_MAX: usize = 57_344;
/// How many ids one mark covers.
const IDS_PER_MARK: i64 = 256;
/// Owners are numbered, and a number is written as 4 digits of 4 bits, enough for numbers below
/// 2^16.
const OWNER_DIGITS: u8 = 4;
const DIGIT_BITS: u8 = 4;
const DIGIT: u64 = (1 << DIGIT_BITS) - 1;
/// How many ids a mark covers if it holds one digit of their owners.
const OWNERS_PER_MARK: i64 = IDS_PER_MARK / DIGIT_BITS as i64;

/// What a dry run remembers of the rows that it would have written.
///
/// A mark covers 256 consecutive ids, and notes the owner of the first row among them. For rows
/// with other owners, each digit in which the owners' numbers differ takes one mark for 64 ids. So
/// the number of marks does not depend on the order of the actors: 256 consecutive sessions take 1
/// mark if they belong to one actor, at most 5 for 15 actors, 9 for 255 and 17 for more.
#[derive(Debug, Default)]
pub struct DryRun {
    marks: HashMap<(Mark, i64), Bits>,
    /// The actors that own rows here, in the order of their arrival. The first has number 1.
    owners: Vec<ActorId>,
    numbers: HashMap<ActorId, u16>,
    /// Activity types that are new to an actor, as hashes with a secret seed.
    activity_types: HashSet<(ActorId, u64)>,
    activity_types_of: HashMap<ActorId, i64>,
    hasher: RandomState,
}

/// A fact about ids of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Session,
    Todo,
    Step,
    Activity,
    /// One digit of the owners of sessions, each combined by XOR with that of the noted owner.
    SessionOwners(u8),
    /// The same for todos.
    TodoOwners(u8),
    /// A todo has this status, in the working set or from an earlier line.
    Status(TodoStatus),
}

/// The content of a mark: a bit for each of 256 ids, or a digit for each of 64.
#[derive(Debug, Default)]
struct Bits {
    words: [u64; 4],
    /// For sessions and todos, the number of the owner of the first one marked.
    owner: u16,
}

// With the key and one byte of the table itself, 2^16 places take 3.6 MiB.
const _: () = assert!(size_of::<((Mark, i64), Bits)>() <= 56);

impl Mark {
    /// The mark of a row that exists.
    const fn of(origin: Origin) -> Option<Self> {
        match origin {
            Origin::Actor(_) => None,
            Origin::Session(_) => Some(Self::Session),
            Origin::Todo(_) => Some(Self::Todo),
            Origin::Step(_) => Some(Self::Step),
            Origin::Activity(_) => Some(Self::Activity),
        }
    }

    /// The mark of one digit of the owners of such rows, if they have owners.
    const fn owners(origin: Origin, digit: u8) -> Option<Self> {
        match origin {
            Origin::Session(_) => Some(Self::SessionOwners(digit)),
            Origin::Todo(_) => Some(Self::TodoOwners(digit)),
            _ => None,
        }
    }
}

impl DryRun {
    /// Decides a command in a working set that was read for it. The working set is dropped and not
    /// written. The cost is what the command would cost; it is not charged, so the balance need not
    /// cover it and stays the account's.
    ///
    /// # Errors
    /// As [`WorkingSet::decide_at`], or [`Refusal::DryRunTooLarge`].
    pub fn decide_at(
        &mut self,
        mut working_set: WorkingSet,
        command: Command,
        now: Timestamp,
    ) -> Result<Applied, Refusal> {
        let Action::Transfer(KeyBearer { account, .. }, TransferAction::Import(import)) =
            &command.action
        else {
            return working_set.decide_at(command, now);
        };
        if self.len() >= MARKS_MAX {
            return Err(Refusal::DryRunTooLarge);
        }
        let (account, import) = (*account, import.clone());
        self.prepare(&mut working_set, account, &import);
        working_set.is_charged = false;
        let known_activity_types = working_set.activity_types.clone();
        let applied = working_set.decide_at(command, now)?;
        let AppliedRow::Imported(outcomes) = &applied.row else { return Ok(applied) };
        for (row, outcome) in import.rows.iter().zip(outcomes) {
            if !matches!(outcome, Ok(Imported::New(_))) {
                continue;
            }
            self.learn(row);
            if let ImportRow::Activity(Activity { actor, activity_type, .. }) = row {
                let known = known_activity_types.get(&(account, *actor));
                if !known.is_some_and(|known| known.counts.contains_key(activity_type)) {
                    self.learn_activity_type(*actor, activity_type);
                }
            }
        }
        Ok(applied)
    }

    /// Adds to the working set what earlier batches would have written, as far as this one depends
    /// on it. Rows without a real id have negative ids.
    fn prepare(&self, working_set: &mut WorkingSet, account: AccountId, import: &Import) {
        for row in &import.rows {
            for origin in [Some(row.origin()), row.link()].into_iter().flatten() {
                self.prepare_row(working_set, (account, import.source), origin);
            }
            if let ImportRow::Activity(Activity { actor, activity_type, .. }) = row
                && self.activity_types.contains(&(*actor, self.hasher.hash_one(activity_type)))
            {
                let present = working_set.activity_types.entry((account, *actor)).or_default();
                present.counts.insert(activity_type.clone(), 1);
            }
        }
        for ((of, actor), present) in &mut working_set.activity_types {
            if *of == account {
                present.total += self.activity_types_of.get(actor).copied().unwrap_or(0);
            }
        }
    }

    fn prepare_row(
        &self,
        working_set: &mut WorkingSet,
        (account, source): (AccountId, Uid),
        origin: Origin,
    ) {
        let key = (account, source, origin);
        let is_new = Mark::of(origin).is_some_and(|mark| self.has(mark, origin.id()));
        if is_new {
            working_set.imported.insert(key, -origin.id());
        }
        match origin {
            Origin::Session(id) if is_new => {
                let Some(owner) = self.owner_of(origin) else { return };
                working_set.load_session(account, session(SessionId(-id.0), owner));
            }
            Origin::Todo(id) => {
                let Some(status) = self.status(id) else { return };
                let Some(here) = working_set.imported.get(&key).map(|id| TodoId(*id)) else {
                    return;
                };
                let current = if is_new {
                    self.owner_of(origin).map(|owner| todo(here, owner))
                } else {
                    working_set.todos.get((account, here)).cloned()
                };
                if let Some(current) = current {
                    working_set.load_todo(account, Todo { status, ..current });
                }
            }
            _ => {}
        }
    }

    fn learn(&mut self, row: &ImportRow) {
        match row {
            ImportRow::Session(session) => self.set_owner(row.origin(), session.actor),
            ImportRow::Todo(todo) => {
                self.set_owner(row.origin(), todo.actor);
                self.set(Mark::Status(todo.status), todo.id.0, true);
            }
            ImportRow::Step(_, step) => {
                self.set(Mark::Step, step.id.0, true);
                self.set(Mark::Status(step.old_status), step.todo.0, false);
                self.set(Mark::Status(step.new_status), step.todo.0, true);
            }
            ImportRow::Activity(activity) => self.set(Mark::Activity, activity.id.0, true),
            // These rows exist, so the working set has them.
            ImportRow::SessionAgain(_) | ImportRow::TodoAgain(_) => {}
        }
    }

    fn learn_activity_type(&mut self, actor: ActorId, activity_type: &ActivityType) {
        if self.activity_types.insert((actor, self.hasher.hash_one(activity_type))) {
            *self.activity_types_of.entry(actor).or_default() += 1;
        }
    }

    /// The number of marks, including activity types and actors.
    pub(super) fn len(&self) -> usize {
        self.marks.len() + self.activity_types.len() + self.owners.len()
    }

    fn status(&self, id: TodoId) -> Option<TodoStatus> {
        TodoStatus::ALL.into_iter().find(|status| self.has(Mark::Status(*status), id.0))
    }

    /// Notes a new session or todo and its owner.
    fn set_owner(&mut self, origin: Origin, actor: ActorId) {
        let Some(rows) = Mark::of(origin) else { return };
        let owner = *self.numbers.entry(actor).or_insert_with(|| {
            self.owners.push(actor);
            // There are fewer than `MARKS_MAX` plus one batch.
            u16::try_from(self.owners.len()).unwrap_or(u16::MAX)
        });
        self.set(rows, origin.id(), true);
        let (chunk, ..) = place(origin.id());
        let noted = &mut self.marks.entry((rows, chunk)).or_default().owner;
        if *noted == 0 {
            *noted = owner;
        }
        let differs = *noted ^ owner;
        let (chunk, word, bits) = owner_place(origin.id());
        for digit in 0..OWNER_DIGITS {
            let digits = u64::from(differs >> (digit * DIGIT_BITS)) & DIGIT;
            if let Some(owners) = Mark::owners(origin, digit)
                && digits != 0
            {
                let mark = self.marks.entry((owners, chunk)).or_default();
                mark.words[word] |= digits << bits;
            }
        }
    }

    /// The owner of a session or todo that was noted.
    fn owner_of(&self, origin: Origin) -> Option<ActorId> {
        let rows = Mark::of(origin)?;
        let (chunk, ..) = place(origin.id());
        let noted = self.marks.get(&(rows, chunk)).map_or(0, |mark| mark.owner);
        let (chunk, word, bits) = owner_place(origin.id());
        let differs = |digit| {
            let owners = Mark::owners(origin, digit);
            let mark = owners.and_then(|owners| self.marks.get(&(owners, chunk)));
            let digits = mark.map_or(0, |mark| (mark.words[word] >> bits) & DIGIT);
            usize::try_from(digits).unwrap_or(0) << (digit * DIGIT_BITS)
        };
        let number = (0..OWNER_DIGITS).fold(usize::from(noted), |it, digit| it ^ differs(digit));
        number.checked_sub(1).and_then(|before| self.owners.get(before)).copied()
    }

    fn has(&self, mark: Mark, id: i64) -> bool {
        let (chunk, word, bit) = place(id);
        self.marks.get(&(mark, chunk)).is_some_and(|mark| mark.words[word] & bit != 0)
    }

    fn set(&mut self, mark: Mark, id: i64, holds: bool) {
        let (chunk, word, bit) = place(id);
        if holds {
            self.marks.entry((mark, chunk)).or_default().words[word] |= bit;
        } else if let Some(mark) = self.marks.get_mut(&(mark, chunk)) {
            mark.words[word] &= !bit;
        }
    }
}

/// The chunk of an id, and its bit there.
const fn place(id: i64) -> (i64, usize, u64) {
    let within = id.rem_euclid(IDS_PER_MARK) as u64;
    (id.div_euclid(IDS_PER_MARK), (within / 64) as usize, 1 << (within % 64))
}

/// The chunk of an id, and the position of a digit of its owner: the word, and the bit offset.
const fn owner_place(id: i64) -> (i64, usize, u64) {
    let at = id.rem_euclid(OWNERS_PER_MARK) as u64 * DIGIT_BITS as u64;
    (id.div_euclid(OWNERS_PER_MARK), (at / 64) as usize, at % 64)
}

/// A session with only the fields that a link to it depends on.
const fn session(id: SessionId, actor: ActorId) -> Session<Sealed> {
    Session {
        id,
        uid: Uid::NIL,
        actor,
        status: SessionStatus::Active,
        notes: None,
        started_at: Timestamp::FIRST,
        version: 1,
    }
}

/// A todo with only the fields that a step of its log depends on.
fn todo(id: TodoId, actor: ActorId) -> Todo<Sealed> {
    Todo {
        id,
        uid: Uid::NIL,
        actor,
        content: TodoContent::titled(Sealed(Vec::new())),
        status: TodoStatus::Open,
        claims: Claims::NONE,
        created_at: Timestamp::FIRST,
        updated_at: Timestamp::FIRST,
        status_since: Timestamp::FIRST,
        version: 1,
    }
}
