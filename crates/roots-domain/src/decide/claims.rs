//! Deciding about claims.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::admission::Scope;
use super::read_set::ReadSet;
use super::rows::RowKey;
use super::working_set::WorkingSet;

use crate::command::{
    Action, AppliedRow, ClaimFate, ClaimRequest, Command, Refusal, ResourceAction, RowPatch,
};

use crate::model::claim::{Claim, ClaimToken};
use crate::model::deadline::Deadline;
use crate::model::id::{AccountId, ActorId, TodoId, Uid};
use crate::model::sealed::Sealed;
use crate::model::time::Timestamp;
use crate::model::todo::{Priority, StatusChange, Todo, TodoPatch, TodoStatus};

/// The todos of which claims of a batch take the next one: those of an actor, from a priority up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimScope {
    /// The account.
    pub account: AccountId,
    /// The actor.
    pub actor: ActorId,
    /// The lowest priority.
    pub min_priority: Priority,
}

/// How a todo would be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claimable {
    /// It is open.
    Open,
    /// Its claim has lapsed.
    Lapsed,
    /// It is in progress without a claim. Only a claim that names it takes it.
    Unclaimed,
}

/// A claim to write.
pub(super) struct NewClaim {
    /// The todo, claimed.
    pub(super) todo: Todo<Sealed>,
    /// Its new log rows.
    pub(super) logs: Vec<StatusChange<Sealed>>,
    /// Until when the claim lives.
    pub(super) until: Timestamp,
}

impl WorkingSet {
    /// Whether and how a todo can be claimed now.
    fn claimable(&self, account: AccountId, todo: &Todo<Sealed>) -> Result<Claimable, Refusal> {
        match (todo.status, todo.claims.standing) {
            (TodoStatus::Open, _) => Ok(Claimable::Open),
            (TodoStatus::InProgress, None) => Ok(Claimable::Unclaimed),
            (TodoStatus::InProgress, Some(_)) => {
                // A claim whose deadline was lost holds nobody up.
                let Some(deadline) = self.deadline((account, todo.id)) else {
                    return Ok(Claimable::Lapsed);
                };
                let until = self.lives_until(account, deadline);
                if self.lease_now() < until {
                    return Err(Refusal::ClaimHeld { todo: todo.id, until });
                }
                Ok(Claimable::Lapsed)
            }
            (status @ (TodoStatus::Done | TodoStatus::Cancelled), _) => {
                Err(Refusal::NotClaimable { todo: todo.id, status })
            }
        }
    }

    /// The next todo of an actor: by priority, open ones before those whose claim has lapsed, then
    /// by the due date, none last, then by age.
    fn next_todo(
        &self,
        account: AccountId,
        actor: ActorId,
        min_priority: Priority,
    ) -> Option<(&Todo<Sealed>, Claimable)> {
        let of_actor = self
            .todos
            .of(account)
            .filter(|todo| todo.actor == actor && todo.content.priority >= min_priority);
        let claimable = of_actor.filter_map(|todo| {
            let how = self.claimable(account, todo).ok()?;
            (how != Claimable::Unclaimed).then_some((todo, how))
        });
        claimable.min_by_key(|(todo, how)| {
            let due_at = todo.content.due_at;
            let priority = Reverse(todo.content.priority);
            (priority, *how, due_at.is_none(), due_at, todo.created_at, todo.id)
        })
    }

    /// The claim of a todo; `None` if there is no todo to claim.
    pub(super) fn new_claim(
        &self,
        claim: ClaimRequest,
        scope: &Scope,
    ) -> Result<Option<NewClaim>, Refusal> {
        let ClaimRequest { actor, session, todo, min_priority, lease, log_uids, lapse_note } =
            claim;
        scope.check_reach(actor)?;
        self.check_active_link(session, actor, scope)?;
        let found = match todo {
            Some(id) => {
                let todo = self.todo(id, scope)?;
                if todo.actor != actor {
                    return Err(Refusal::NotFound("todo"));
                }
                Some((todo, self.claimable(scope.account, todo)?))
            }
            None => self.next_todo(scope.account, actor, min_priority),
        };
        let Some((todo, how)) = found else { return Ok(None) };
        let now = self.lease_now();
        let mut next = todo.clone();
        next.status = TodoStatus::InProgress;
        next.claims = next.claims.claimed(Claim { session, claimed_at: now, lease });
        next.content.session = session.or(next.content.session);
        next.updated_at = scope.at.max(todo.updated_at);
        if how != Claimable::Unclaimed {
            next.status_since = next.updated_at;
        }
        next.version += 1;
        let steps = match how {
            Claimable::Open => vec![(TodoStatus::Open, TodoStatus::InProgress, None)],
            Claimable::Lapsed => vec![
                (TodoStatus::InProgress, TodoStatus::Open, Some(lapse_note)),
                (TodoStatus::Open, TodoStatus::InProgress, None),
            ],
            Claimable::Unclaimed => Vec::new(),
        };
        let mut ids = self.next_ids(scope.account)?;
        // The note is sealed for the first of the uids, as the row that has it.
        let first = usize::from(how != Claimable::Lapsed);
        let logs = log_uids.into_iter().skip(first).zip(steps);
        let logs = logs.map(|(uid, (old_status, new_status, note))| StatusChange {
            id: ids.next_log(),
            uid,
            todo: next.id,
            old_status,
            new_status,
            note,
            logged_at: next.updated_at,
        });
        let logs = logs.collect();
        Ok(Some(NewClaim { todo: next, logs, until: lease.deadline(now) }))
    }

    /// Gives up the claim that stands on a todo. Its token was checked before.
    pub(super) fn released_todo(
        &self,
        id: TodoId,
        log_uid: Uid,
        scope: &Scope,
    ) -> Result<(Todo<Sealed>, Option<StatusChange<Sealed>>), Refusal> {
        let patch = TodoPatch { status: Some(TodoStatus::Open), ..TodoPatch::EMPTY };
        let row = RowPatch { id, sealed_for: None, patch };
        self.patched_todo(row, log_uid, scope)
    }

    /// Checks that the claim stands whose token a write carries.
    pub(super) fn check_claim(
        &self,
        action: &ResourceAction,
        scope: &Scope,
    ) -> Result<(), Refusal> {
        let (id, token) = match action {
            ResourceAction::PatchTodo { row, claim_token: Some(token), .. } => (row.id, *token),
            ResourceAction::DeleteTodo { id, claim_token: Some(token) }
            | ResourceAction::ReleaseTodo { id, claim_token: token, .. } => (*id, *token),
            _ => return Ok(()),
        };
        let todo = self.todo(id, scope)?;
        if todo.claims.token() == Some(token) {
            return Ok(());
        }
        let fate = match todo.claims.token() {
            _ if token > ClaimToken(todo.claims.count) => {
                ClaimFate::NotYet { count: todo.claims.count }
            }
            Some(standing) => ClaimFate::Retaken { standing },
            None => ClaimFate::Ended { status: todo.status },
        };
        Err(Refusal::ClaimLost { todo: id, token, fate })
    }

    /// Writes a claimed todo, its log rows and its deadline.
    pub(super) fn put_claim(
        &mut self,
        NewClaim { todo, logs, until }: NewClaim,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        self.deadlines.set((account, todo.id), Deadline::of(&todo, until));
        for log in logs {
            self.last_ids(account)?.log = log.id.0;
            self.write_set.logs.push((account, todo.actor, log));
        }
        let claimed = todo.clone();
        self.put_todo(todo, None, scope)?;
        Ok(AppliedRow::Claimed(claimed, until))
    }

    /// The todos of which claims take the next one, once the todos that the commands name are
    /// loaded, and how many candidates of each kind are needed: one for each claim of the actor,
    /// and one for each of its todos that the commands name. The first ones in the database may be
    /// taken or changed by commands before. High priorities come first, so the candidates of the
    /// lowest one are those of the others too.
    pub fn claim_candidates<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Command>,
        read_set: &ReadSet,
    ) -> Vec<(ClaimScope, u64)> {
        if read_set.claims.is_empty() {
            return Vec::new();
        }
        let mut counts = BTreeMap::<(AccountId, ActorId), u64>::new();
        for command in commands {
            if let Action::Resource(bearer, ResourceAction::ClaimTodo(claim)) = &command.action {
                *counts.entry((bearer.account, claim.actor)).or_default() += 1;
            }
        }
        for key in &read_set.todos {
            if let Some(todo) = self.todos.get(*key) {
                *counts.entry((key.0, todo.actor)).or_default() += 1;
            }
        }
        let scope = |(&(account, actor), &min_priority): (&(AccountId, ActorId), &Priority)| {
            let most = counts.get(&(account, actor)).copied().unwrap_or(1);
            (ClaimScope { account, actor, min_priority }, most)
        };
        read_set.claims.iter().map(scope).collect()
    }

    /// The todos whose deadlines are needed, once the todos are loaded: those that are claimed.
    #[must_use]
    pub fn claimed_todos(&self) -> BTreeSet<RowKey<TodoId>> {
        let loaded = self.todos.0.iter();
        let claimed = loaded
            .filter(|(_, row)| row.now.as_ref().is_some_and(|todo| todo.claims.standing.is_some()));
        claimed.map(|(key, _)| *key).collect()
    }
}
