//! The rows of the reference model, and how they are found.

use std::collections::BTreeMap;

use crate::command::{AppliedRow, Refusal};
use crate::model::account::{Account, Role};
use crate::model::activity::Activity;
use crate::model::api_key::ApiKey;
use crate::model::bearer::KeyBearer;
use crate::model::credit::LedgerEntry;
use crate::model::deadline::Deadline;
use crate::model::id::{ActivityId, ActorId, KeyId, LedgerId, LogId, SessionId, TodoId, Uid};
use crate::model::import::Origin;
use crate::model::sealed::Sealed;
use crate::model::session::{EndReason, Session, SessionActivity, SessionStatus};
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo};

/// An account, and all rows that it must have after its commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceModel {
    /// The account. Its version stays 1: a store counts batches by it.
    pub account: Account,
    /// The keys that a command may rest on if it was accepted under another auth epoch.
    pub keys: BTreeMap<KeyId, ApiKey>,
    /// The sessions.
    pub sessions: BTreeMap<SessionId, Session<Sealed>>,
    /// When the sessions were last active.
    pub activity: BTreeMap<SessionId, SessionActivity>,
    /// The todos.
    pub todos: BTreeMap<TodoId, Todo<Sealed>>,
    /// The deadlines of the claims that stand.
    pub deadlines: BTreeMap<TodoId, Deadline>,
    /// The time by which silence and leases are judged; that of the command if there is none.
    pub shared_now: Option<Timestamp>,
    /// The status changes of all todos.
    pub logs: BTreeMap<LogId, StatusChange<Sealed>>,
    /// The activities.
    pub activities: BTreeMap<ActivityId, Activity<Sealed>>,
    /// The ledger.
    pub ledger: BTreeMap<LedgerId, LedgerEntry>,
    /// The ids of imported rows, by their source and their id there.
    pub imported: BTreeMap<(Uid, Origin), i64>,
}

/// What is done for a write.
pub(super) type WriteResult = Result<AppliedRow, Refusal>;

impl ReferenceModel {
    pub(super) fn linkable(
        &self,
        actor: ActorId,
        id: SessionId,
    ) -> Result<&Session<Sealed>, Refusal> {
        let found = self.sessions.get(&id).filter(|row| row.actor == actor);
        found.ok_or(Refusal::NoSuchSession(id))
    }

    pub(super) fn check_active_link(
        &self,
        actor: ActorId,
        link: Option<SessionId>,
    ) -> Result<(), Refusal> {
        match link {
            Some(id) if is_idle(self.linkable(actor, id)?) => Err(Refusal::SessionIdle(id)),
            Some(id) if self.linkable(actor, id)?.status != SessionStatus::Active => {
                Err(Refusal::SessionEnded(id))
            }
            _ => Ok(()),
        }
    }
}

/// How often each item occurs.
pub fn counts<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, i64> {
    let mut counts = BTreeMap::new();
    items.into_iter().for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

pub(super) fn next(last: &mut i64) -> i64 {
    *last += 1;
    *last
}

pub(super) fn later(one: Timestamp, other: Timestamp) -> Timestamp {
    if one < other { other } else { one }
}

/// An owner may change all rows of its account, a member its own.
fn may_touch(by: &KeyBearer, actor: ActorId) -> bool {
    by.role == Role::Owner || by.actor == actor
}

/// The caller may create rows only for an actor whose rows it may change.
pub(super) fn check_maker(by: &KeyBearer, actor: ActorId) -> Result<(), Refusal> {
    if may_touch(by, actor) { Ok(()) } else { Err(Refusal::OwnerOnly) }
}

/// The row of that id, if it may be touched.
pub(super) fn find<'a, I: Ord + Copy, T>(
    rows: &'a BTreeMap<I, T>,
    id: I,
    by: &KeyBearer,
    actor: impl Fn(&T) -> ActorId,
    what: &'static str,
) -> Result<&'a T, Refusal> {
    let found = rows.get(&id).filter(|row| may_touch(by, actor(row)));
    found.ok_or(Refusal::NotFound(what))
}

/// Whether a session was ended for its silence: it takes no more writes.
pub(super) fn is_idle(session: &Session<Sealed>) -> bool {
    session.status.end_reason() == Some(EndReason::Idle)
}
