//! Imports: what was exported elsewhere, some lines at a time; or a dry run of one, which goes the same
//! way and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use super::keyrings::Keyrings;
use super::outcome::WriteError;
use super::sealing::Sealer;
use crate::command::{
    Action, Applied, AppliedRow, Charge, Command, Refusal, Resealed, ResourceAction, TransferAction,
};
use crate::decide::DryRun;
use crate::model::account::{Actor, ActorKind, Role};
use crate::model::activity::Activity;
use crate::model::credit::WRITE_COST;
use crate::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
use crate::model::import::{IMPORT_ENDPOINT, Import, ImportRow, Imported, Origin, SeenRows};
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::session::Session;
use crate::model::text::{ActivityText, LogNote, LongText, Name, Title};
use crate::model::todo::{StatusChange, Todo};
use crate::port::archive::{ImportReader, ImportedId};
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::{CryptoError, Keyring};
use crate::port::store::{AccountReader, ApplyError, CommandStore, StoreResult};

/// Imports.
#[derive(Clone)]
pub struct Imports {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Tells the account's actors and their keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Tells what has come in before.
    pub reader: Arc<dyn ImportReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
    /// Names new rows.
    pub uids: Arc<dyn Uids>,
}

/// An actor of the source.
#[derive(Debug, Clone)]
pub struct ActorDraft {
    /// Its id there.
    pub id: ActorId,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ActorKind,
    /// What it may do there.
    pub role: Role,
}

/// A row of the source, with the ids that it has there. Its own uid is left out of account.
#[derive(Debug, Clone, PartialEq)]
pub enum RowDraft {
    /// A session.
    Session(Session<LongText>),
    /// A todo, as it stood before the first step of its log.
    Todo(Todo<Title>, Option<LongText>),
    /// A step of the log of a todo of that actor.
    Step(ActorId, StatusChange<LogNote>),
    /// An activity.
    Activity(Activity<ActivityText>),
}

impl RowDraft {
    /// What it is known by.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match self {
            Self::Session(session) => Origin::Session(session.id),
            Self::Todo(todo, _) => Origin::Todo(todo.id),
            Self::Step(_, step) => Origin::Step(step.id),
            Self::Activity(activity) => Origin::Activity(activity.id),
        }
    }

    /// Whose it is there.
    #[must_use]
    pub const fn actor(&self) -> ActorId {
        match self {
            Self::Session(session) => session.actor,
            Self::Todo(todo, _) => todo.actor,
            Self::Step(actor, _) => *actor,
            Self::Activity(activity) => activity.actor,
        }
    }
}

/// What became of a row, by itself.
pub type Outcome = Result<RowOutcome, Refusal>;

/// What became of a row that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was written.
    Added,
    /// It had come in before, and took on what was changed there.
    Updated,
    /// It had come in before, and nothing newer came of it.
    Unchanged,
    /// It had come in before, and was deleted here since. It stays so.
    Deleted,
}

/// A row that came in from the source before, stands here, and is no longer in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRow {
    /// What it is known by there.
    pub origin: Origin,
    /// Its id here.
    pub here: i64,
}

/// What becomes of the rows of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// They are written and paid for.
    Write,
    /// They are checked, and what they would cost is told. Nothing is left behind.
    DryRun,
}

/// What became of some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Of each, in their order. Where credits ended, the last is [`Refusal::InsufficientCredits`]: with
    /// that row the import goes on once there are more.
    pub outcomes: Vec<Outcome>,
    /// What they cost together, or would cost.
    pub cost: i64,
    /// The account's balance after it.
    pub balance: i64,
}

impl Imports {
    /// Whether the caller may import, judged as [`Importing::rows`] judges it. Nothing is written.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::KeyNotInForce`], [`Refusal::Suspended`], or the database's
    /// error.
    pub async fn check(&self, caller: Arc<Caller>, mode: ImportMode) -> Result<(), WriteError> {
        // No source is needed for no rows.
        let mut importing = self.importing(caller, Uid::NIL, None, mode)?;
        importing.rows(Vec::new()).await?;
        Ok(())
    }

    /// Begins an import from that source, all of it to one actor if that is given. It is noted in
    /// the audit log first, but for a dry run.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::NoSuchActor`], [`Refusal::OwnExport`],
    /// [`Refusal::Suspended`], or a database error.
    pub async fn begin(
        &self,
        caller: Arc<Caller>,
        source: Uid,
        to: Option<ActorId>,
        mode: ImportMode,
    ) -> Result<Importing, WriteError> {
        let account = caller.account.id;
        let mut importing = self.importing(caller, source, to, mode)?;
        let actors = self.reader.imported_actors(account, source).await?;
        importing.actors = actors.into_iter().collect();
        if let Some(to) = to {
            importing.keys(to).await?;
        }
        importing.apply(TransferAction::NoteImport { source, actor: to }).await?;
        Ok(importing)
    }

    fn importing(
        &self,
        caller: Arc<Caller>,
        source: Uid,
        to: Option<ActorId>,
        mode: ImportMode,
    ) -> Result<Importing, Refusal> {
        if caller.actor.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        Ok(Importing {
            imports: self.clone(),
            source,
            to,
            actors: BTreeMap::new(),
            members: None,
            keys: BTreeMap::new(),
            keys_as_of: caller.auth_epoch,
            caller,
            seen: SeenRows::default(),
            dry_run: (mode == ImportMode::DryRun).then(DryRun::default),
        })
    }
}

/// An import under way.
pub struct Importing {
    imports: Imports,
    caller: Arc<Caller>,
    source: Uid,
    to: Option<ActorId>,
    /// The actors here of those there.
    actors: BTreeMap<ActorId, ActorId>,
    /// The account's members, once one had to be found.
    members: Option<Vec<Actor>>,
    /// The keys that rows are sealed with, of the actors that rows came for.
    keys: BTreeMap<ActorId, Arc<dyn Keyring>>,
    /// The account's auth epoch before they were read.
    keys_as_of: i64,
    /// The rows of the file that have come.
    seen: SeenRows,
    dry_run: Option<DryRun>,
}

impl Importing {
    /// Finds the actor here for one there: the owner for the owner, of whom a source has one, and for a
    /// member the one that it was before, or else the first of its name and kind that stands for nobody
    /// else of the source. It is remembered with the first of its rows that is written.
    ///
    /// # Errors
    /// A database error.
    pub async fn actor(
        &mut self,
        actor: ActorDraft,
    ) -> Result<Result<ActorId, Refusal>, WriteError> {
        if let Some(to) = self.to {
            return Ok(Ok(to));
        }
        if let Some(known) = self.actors.get(&actor.id) {
            return Ok(Ok(*known));
        }
        let owner = self.caller.actor.id;
        let here = match actor.role {
            Role::Owner => self.actors.values().all(|here| *here != owner).then_some(owner),
            Role::Member => self.namesake(&actor).await?,
        };
        let Some(here) = here else { return Ok(Err(Refusal::NoSuchActor(actor.id))) };
        self.actors.insert(actor.id, here);
        Ok(Ok(here))
    }

    /// The first of that name and kind that stands for nobody else. It is taken from the list, which is
    /// read once: each line of an actor may ask.
    async fn namesake(&mut self, actor: &ActorDraft) -> Result<Option<ActorId>, WriteError> {
        if self.members.is_none() {
            let taken: BTreeSet<_> = self.actors.values().collect();
            let mut found = self.imports.accounts.actors(self.caller.account.id).await?;
            found.retain(|here| here.role == Role::Member && !taken.contains(&here.id));
            self.members = Some(found);
        }
        let Some(members) = &mut self.members else { return Ok(None) };
        let is_it = |here: &Actor| here.name == actor.name && here.kind == actor.kind;
        Ok(members.iter().position(is_it).map(|at| members.remove(at).id))
    }

    /// Imports some rows, at most [`crate::model::import::IMPORT_MAX_ROWS`], each by itself, in their
    /// order. The caller's key is checked, even where there are no rows.
    ///
    /// # Errors
    /// The refusal of them all, [`Refusal::KeyNotInForce`] once the key has ended, or the database's
    /// error.
    pub async fn rows(&mut self, drafts: Vec<RowDraft>) -> Result<Batch, WriteError> {
        if !drafts.is_empty() && self.dry_run.is_none() {
            self.forget_renewed_keys().await?;
        }
        let (mut refused, mut deleted) = (Vec::new(), Vec::new());
        let (mut rows, mut actors) = (Vec::with_capacity(drafts.len()), BTreeMap::new());
        let standing = self.standing(&drafts).await?;
        for (at, draft) in drafts.iter().enumerate() {
            let (there, origin) = (draft.actor(), draft.origin());
            let here = standing.get(&origin);
            let mapped = self.to.or_else(|| self.actors.get(&there).copied());
            let came_before = self.seen.insert(origin);
            let is_contradicted = came_before
                && drafts[..at].iter().any(|other| other.origin() == origin && other != draft);
            let refusal = match (mapped, here) {
                _ if is_contradicted => Some(Refusal::Contradicts(origin)),
                (None, _) => Some(Refusal::NoSuchActor(there)),
                (Some(actor), None) => {
                    rows.push(self.sealed(draft, actor).await?);
                    None
                }
                (Some(_), Some(here)) => match self.again(draft, here, came_before).await? {
                    Some(row) => {
                        rows.push(row);
                        None
                    }
                    None => Some(Refusal::Contradicts(origin)),
                },
            };
            if let (None, None, Some(actor)) = (self.to, &refusal, mapped) {
                actors.insert(actor, there);
            }
            refused.push(refusal);
            deleted.push(here.is_none() && !came_before);
        }
        let action = TransferAction::Import(Import { source: self.source, actors, rows });
        let applied = self.apply(action).await?;
        let AppliedRow::Imported(applied_rows) = applied.row else {
            return Err(WriteError::mismatched());
        };
        let mut applied_rows = applied_rows.into_iter();
        let mut outcomes = Vec::with_capacity(refused.len());
        for (refused, was_deleted) in refused.into_iter().zip(deleted) {
            let outcome = match refused {
                Some(refusal) => Err(refusal),
                None => applied_rows.next().ok_or_else(WriteError::mismatched)?,
            };
            let is_over = matches!(outcome, Err(Refusal::InsufficientCredits { .. }));
            outcomes.push(outcome.map(|imported| match imported {
                Imported::New(_) => RowOutcome::Added,
                Imported::Updated(_) => RowOutcome::Updated,
                Imported::Known(_) if was_deleted => RowOutcome::Deleted,
                Imported::Known(_) => RowOutcome::Unchanged,
            }));
            if is_over {
                break;
            }
        }
        Ok(Batch { outcomes, cost: applied.cost, balance: applied.balance })
    }

    /// Notes a row of the file that is left out.
    pub fn pass_over(&mut self, draft: &RowDraft) {
        self.seen.insert(draft.origin());
    }

    /// Some rows of that kind that came in before, after the one of that id there: those that stand
    /// here and did not come in this file, and the id to go on after. `None` where the file was too
    /// large to remember its rows.
    ///
    /// # Errors
    /// A database error.
    pub async fn missing_after(
        &self,
        after: Origin,
    ) -> StoreResult<Option<(Vec<MissingRow>, Option<Origin>)>> {
        let account = self.caller.account.id;
        let rows = self.imports.reader.imported_after(account, self.source, after).await?;
        let next = rows.last().map(|row| row.origin);
        let mut missing = Vec::new();
        for ImportedId { origin, here, stands } in rows {
            match self.seen.contains(origin) {
                None => return Ok(None),
                Some(false) if stands => missing.push(MissingRow { origin, here }),
                Some(_) => {}
            }
        }
        Ok(Some((missing, next)))
    }

    /// Deletes a row that is no longer in the file, or says what that would cost. Answers the cost
    /// and the balance; the cost is 0 where it is gone already.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn delete(&mut self, row: MissingRow) -> Result<(i64, i64), WriteError> {
        let action = match row.origin {
            Origin::Session(_) => ResourceAction::DeleteSession(SessionId(row.here)),
            Origin::Todo(_) => ResourceAction::DeleteTodo(TodoId(row.here)),
            Origin::Activity(_) => ResourceAction::DeleteActivity(ActivityId(row.here)),
            Origin::Actor(_) | Origin::Step(_) => return Err(WriteError::mismatched()),
        };
        if self.dry_run.is_some() {
            let account = self.imports.accounts.account(self.caller.account.id).await?;
            return Ok((WRITE_COST, account.map_or(0, |account| account.balance)));
        }
        let action = Action::Resource(self.caller.bearer(), action);
        let charge = Some(Charge { cost: WRITE_COST, endpoint: IMPORT_ENDPOINT });
        let command = Command::uncharged(action, self.imports.clock.now());
        match self.imports.commands.apply(Command { charge, ..command }).await {
            Ok(applied) => Ok((applied.cost, applied.balance)),
            Err(ApplyError::Refused(Refusal::NotFound(_))) => {
                let account = self.imports.accounts.account(self.caller.account.id).await?;
                Ok((0, account.map_or(0, |account| account.balance)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The rows here that came in as these before.
    async fn standing(&self, drafts: &[RowDraft]) -> StoreResult<BTreeMap<Origin, ImportRow>> {
        if drafts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let todos = drafts.iter().filter_map(|draft| match draft {
            RowDraft::Step(_, step) => Some(Origin::Todo(step.todo)),
            _ => None,
        });
        let origins: Vec<_> = drafts.iter().map(RowDraft::origin).chain(todos).collect();
        let account = self.caller.account.id;
        let rows = self.imports.reader.imported_rows(account, self.source, &origins).await?;
        Ok(rows.into_iter().collect())
    }

    /// A row that came in before, sealed for what it is here; `None` where it contradicts that.
    /// Steps and activities never change, and nothing changes twice in one file.
    async fn again(
        &mut self,
        draft: &RowDraft,
        here: &ImportRow,
        came_before: bool,
    ) -> Result<Option<ImportRow>, WriteError> {
        let keys = self.keys(here.actor()).await?;
        let is_dry_run = self.dry_run.is_some();
        let reseal = |field: Field, row: Uid, text: &str, current: Option<&Sealed>| {
            let sealer = Sealer { keys: &keys, row };
            let Resealed { sealed, same_as } = sealer.reseal(field, text, current)?;
            // No rule rests on a text, but that it is another one.
            let new = if is_dry_run { Sealed(Vec::new()) } else { sealed };
            Ok::<_, CryptoError>(same_as.unwrap_or(new))
        };
        let is_same = |field: Field, row: Uid, text: Option<&str>, current: Option<&Sealed>| {
            let place = TextPlace { field, row };
            match (text, current) {
                (None, None) => true,
                (Some(text), Some(sealed)) => keys.open(place, sealed).as_deref() == Ok(text),
                _ => false,
            }
        };
        Ok(match (draft, here) {
            (RowDraft::Session(there), ImportRow::Session(here)) => {
                let text = there.notes.as_ref().map(LongText::as_str);
                let notes = text
                    .map(|text| reseal(Field::SessionNotes, here.uid, text, here.notes.as_ref()));
                let again = Session {
                    notes: notes.transpose()?,
                    uid: here.uid,
                    actor: here.actor,
                    id: there.id,
                    status: there.status,
                    started_at: there.started_at,
                    ended_at: there.ended_at,
                    version: 1,
                };
                let contradicts = came_before && here.caught_up(&again).is_some();
                (!contradicts).then_some(ImportRow::SessionAgain(again))
            }
            (RowDraft::Todo(there, description), ImportRow::Todo(here)) => {
                let description = description.as_ref().map(LongText::as_str).map(|text| {
                    let current = here.description.as_ref();
                    reseal(Field::TodoDescription, here.uid, text, current)
                });
                let again = Todo {
                    title: reseal(
                        Field::TodoTitle,
                        here.uid,
                        there.title.as_str(),
                        Some(&here.title),
                    )?,
                    description: description.transpose()?,
                    uid: here.uid,
                    actor: here.actor,
                    id: there.id,
                    session: there.session,
                    status: there.status,
                    priority: there.priority,
                    due_at: there.due_at,
                    created_at: there.created_at,
                    updated_at: there.updated_at,
                    version: 1,
                };
                let unlinked = Todo { session: here.session, ..again.clone() };
                let contradicts = came_before && here.caught_up(&unlinked) != Ok(None);
                (!contradicts).then_some(ImportRow::TodoAgain(again))
            }
            (RowDraft::Step(_, there), ImportRow::Step(actor, here)) => {
                let note = there.note.as_ref().map(LogNote::as_str);
                let same = is_same(Field::LogNote, here.uid, note, here.note.as_ref())
                    && (there.old_status, there.new_status, there.logged_at)
                        == (here.old_status, here.new_status, here.logged_at);
                let known = StatusChange { id: there.id, todo: there.todo, ..here.clone() };
                same.then_some(ImportRow::Step(*actor, known))
            }
            (RowDraft::Activity(there), ImportRow::Activity(here)) => {
                let text = Some(there.description.as_str());
                let current = Some(&here.description);
                let same = is_same(Field::ActivityDescription, here.uid, text, current)
                    && (&there.activity_type, there.logged_at)
                        == (&here.activity_type, here.logged_at);
                let (id, session) = (there.id, there.session);
                same.then_some(ImportRow::Activity(Activity { id, session, ..here.clone() }))
            }
            _ => return Err(WriteError::mismatched()),
        })
    }

    async fn sealed(&mut self, draft: &RowDraft, actor: ActorId) -> Result<ImportRow, WriteError> {
        let keys = self.keys(actor).await?;
        let uid = self.imports.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        // No rule rests on a text, and what a dry run decides is not written.
        let is_dry_run = self.dry_run.is_some();
        let seal_one = |field: Field, text: &str| -> Result<_, CryptoError> {
            if is_dry_run { Ok(Sealed(Vec::new())) } else { sealer.seal(field, text) }
        };
        let seal = |field: Field, text: Option<&str>| -> Result<_, CryptoError> {
            text.map(|text| seal_one(field, text)).transpose()
        };
        Ok(match draft {
            RowDraft::Session(session) => ImportRow::Session(Session {
                notes: seal(Field::SessionNotes, session.notes.as_ref().map(LongText::as_str))?,
                uid,
                actor,
                id: session.id,
                status: session.status,
                started_at: session.started_at,
                ended_at: session.ended_at,
                version: 1,
            }),
            RowDraft::Todo(todo, description) => ImportRow::Todo(Todo {
                title: seal_one(Field::TodoTitle, todo.title.as_str())?,
                description: seal(
                    Field::TodoDescription,
                    description.as_ref().map(LongText::as_str),
                )?,
                uid,
                actor,
                id: todo.id,
                session: todo.session,
                status: todo.status,
                priority: todo.priority,
                due_at: todo.due_at,
                created_at: todo.created_at,
                updated_at: todo.updated_at,
                version: 1,
            }),
            RowDraft::Step(_, step) => ImportRow::Step(
                actor,
                StatusChange {
                    note: seal(Field::LogNote, step.note.as_ref().map(LogNote::as_str))?,
                    uid,
                    id: step.id,
                    todo: step.todo,
                    old_status: step.old_status,
                    new_status: step.new_status,
                    logged_at: step.logged_at,
                },
            ),
            RowDraft::Activity(activity) => ImportRow::Activity(Activity {
                description: seal_one(Field::ActivityDescription, activity.description.as_str())?,
                uid,
                actor,
                id: activity.id,
                session: activity.session,
                activity_type: activity.activity_type.clone(),
                logged_at: activity.logged_at,
                created_at: activity.created_at,
                version: 1,
            }),
        })
    }

    /// Drops the keys that were read if the account's auth epoch has moved since, as it does with every
    /// renewal. So each batch is sealed under the epochs that were in force when it began.
    async fn forget_renewed_keys(&mut self) -> Result<(), WriteError> {
        let account = self.imports.accounts.account(self.caller.account.id).await?;
        // The batch itself is refused if the account is gone.
        let auth_epoch = account.map_or(self.keys_as_of, |account| account.auth_epoch);
        if auth_epoch != self.keys_as_of {
            self.keys.clear();
            self.keys_as_of = auth_epoch;
        }
        Ok(())
    }

    async fn keys(&mut self, actor: ActorId) -> Result<Arc<dyn Keyring>, WriteError> {
        if let Some(keys) = self.keys.get(&actor) {
            return Ok(Arc::clone(keys));
        }
        let found = Keyrings::in_force(&*self.imports.accounts, &self.caller, actor).await?;
        let keys = Arc::clone(found.find(actor).ok_or(Refusal::NoSuchActor(actor))?);
        self.keys.insert(actor, Arc::clone(&keys));
        Ok(keys)
    }

    async fn apply(&mut self, action: TransferAction) -> Result<Applied, WriteError> {
        let action = Action::Transfer(self.caller.bearer(), action);
        let command = Command::uncharged(action, self.imports.clock.now());
        match &mut self.dry_run {
            None => Ok(self.imports.commands.apply(command).await?),
            Some(dry_run) => {
                let working_set = self.imports.reader.working_set_for(&command).await?;
                Ok(dry_run.decide_at(working_set, command, self.imports.clock.now())?)
            }
        }
    }
}
