//! Imports of exported rows, in batches, and dry runs, which take the same path and write nothing.

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
use crate::model::account::{Actor, Role};
use crate::model::activity::Activity;
use crate::model::credit::WRITE_COST;
use crate::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
use crate::model::import::{IMPORT_ENDPOINT, Import, ImportRow, Imported, Origin, SeenRows};
use crate::model::import_file::{ImportFile, MissingPlace};
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::source_row::{SourceActor, SourceRow};
use crate::model::text::{LogNote, LongText};
use crate::model::todo::StatusChange;
use crate::port::archive::{ImportReader, ImportedId};
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::{CryptoError, Keyring};
use crate::port::store::{AccountReader, ApplyError, CommandStore, StoreResult};

/// Imports.
#[derive(Clone)]
pub struct Imports {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads the account's actors and their keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads what was imported before.
    pub reader: Arc<dyn ImportReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
    /// Makes the uids of new rows.
    pub uids: Arc<dyn Uids>,
}

/// The result of one row.
pub type RowResult = Result<RowOutcome, Refusal>;

/// The result of a row that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was written.
    Added,
    /// It was imported before, and was updated.
    Updated,
    /// It was imported before, and is not newer in the source.
    Unchanged,
    /// It was imported before, and was deleted here since. It stays deleted.
    Deleted,
}

/// A row that was imported from the source before, exists here, and is missing in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRow {
    /// Its identity in the source.
    pub origin: Origin,
    /// Its id here.
    pub here: i64,
}

/// What to do with the rows of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Write them and charge for them.
    Write,
    /// Check them and compute their cost. Nothing is written.
    DryRun,
}

impl ImportMode {
    fn dry_run(self) -> Option<DryRun> {
        (self == Self::DryRun).then(DryRun::default)
    }
}

/// The result of some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The result of each, in order. If credits ran out, the last one is
    /// [`Refusal::InsufficientCredits`]: the import continues with that row once there are credits.
    pub outcomes: Vec<RowResult>,
    /// Their total cost; in a dry run, what they would cost.
    pub cost: i64,
    /// The account's balance after it.
    pub balance: i64,
}

impl Imports {
    /// Checks that the caller may import, as [`Importing::rows`] does. Nothing is written.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::KeyNotInForce`], [`Refusal::Suspended`], or the
    /// database's error.
    pub async fn check(&self, caller: Arc<Caller>, mode: ImportMode) -> Result<(), WriteError> {
        self.apply(&caller, TransferAction::CheckImport, mode.dry_run().as_mut()).await?;
        Ok(())
    }

    /// Begins an import from that source; with `actor`, all rows become that actor's. Unless it is
    /// a dry run, it is first noted in the audit log.
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
            dry_run: mode.dry_run(),
        })
    }

    async fn apply(
        &self,
        caller: &Caller,
        action: TransferAction,
        dry_run: Option<&mut DryRun>,
    ) -> Result<Applied, WriteError> {
        let action = Action::Transfer(caller.bearer(), action);
        let command = Command::uncharged(action, self.clock.now());
        match dry_run {
            None => Ok(self.commands.apply(command).await?),
            Some(dry_run) => {
                let working_set = self.reader.working_set_for(&command).await?;
                Ok(dry_run.decide_at(working_set, command, self.clock.now())?)
            }
        }
    }
}

/// A running import.
pub struct Importing {
    imports: Imports,
    caller: Arc<Caller>,
    source: Uid,
    to: Option<ActorId>,
    /// The local actor of each actor of the source.
    actors: BTreeMap<ActorId, ActorId>,
    /// The account's members, read when one is first needed.
    members: Option<Vec<Actor>>,
    /// The keys of the actors that rows were imported for.
    keys: BTreeMap<ActorId, Arc<dyn Keyring>>,
    /// The account's auth epoch from before the keys were read.
    keys_as_of: i64,
    /// The rows of the file seen so far.
    seen: SeenRows,
    dry_run: Option<DryRun>,
}

impl Importing {
    /// Finds the local actor for one of the source. The owner becomes the owner; a source has one.
    /// A member becomes the same actor as before, or else the first of its name and kind that no
    /// other actor of the source was mapped to. The pair is stored with the first written row.
    ///
    /// # Errors
    /// A database error.
    pub async fn actor(
        &mut self,
        actor: SourceActor,
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

    /// The first member with that name and kind that no other actor was mapped to. It is removed
    /// from the list, which is read only once, since each actor's line may need it.
    async fn namesake(&mut self, actor: &SourceActor) -> Result<Option<ActorId>, WriteError> {
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

    /// Imports some rows, at most [`crate::model::import::IMPORT_MAX_ROWS`], each by itself, in
    /// order. The caller's key is checked even if there are no rows.
    ///
    /// # Errors
    /// A refusal of all of them, [`Refusal::KeyNotInForce`] if the key has ended, or the database's
    /// error.
    pub async fn rows(&mut self, drafts: Vec<SourceRow>) -> Result<Batch, WriteError> {
        if !drafts.is_empty() && self.dry_run.is_none() {
            self.forget_renewed_keys().await?;
        }
        let (mut refused, mut deleted) = (Vec::new(), Vec::new());
        let (mut rows, mut actors) = (Vec::with_capacity(drafts.len()), BTreeMap::new());
        let existing = self.existing_rows(&drafts).await?;
        for (at, draft) in drafts.iter().enumerate() {
            let (there, origin) = (draft.actor(), draft.origin());
            let here = existing.get(&origin);
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
                Imported::Unchanged(_) if was_deleted => RowOutcome::Deleted,
                Imported::Unchanged(_) => RowOutcome::Unchanged,
            }));
            if is_over {
                break;
            }
        }
        Ok(Batch { outcomes, cost: applied.cost, balance: applied.balance })
    }

    /// Records a row of the file that is skipped.
    pub fn pass_over(&mut self, draft: &SourceRow) {
        self.seen.insert(draft.origin());
    }

    /// Some rows that were imported before, exist here and are missing in the file, from that place
    /// on, and the place to continue at. `None` if that can't be told: the file itself does not
    /// tell, or it was too large to remember its rows.
    ///
    /// # Errors
    /// A database error.
    pub async fn missing(
        &self,
        file: &ImportFile,
        from: MissingPlace,
    ) -> StoreResult<Option<(Vec<MissingRow>, Option<MissingPlace>)>> {
        if !file.tells_missing() {
            return Ok(None);
        }
        let MissingPlace { kind, after } = from;
        let account = self.caller.account.id;
        let rows = self.imports.reader.imported_after(account, self.source, kind, after).await?;
        let next = from.next(rows.last().map(|row| row.origin.id()));
        let mut missing = Vec::new();
        for ImportedId { origin, here, exists } in rows {
            match self.seen.contains(origin) {
                None => return Ok(None),
                Some(false) if exists => missing.push(MissingRow { origin, here }),
                Some(_) => {}
            }
        }
        Ok(Some((missing, next)))
    }

    /// Deletes a row that is missing in the file, or in a dry run computes the cost. Returns the
    /// cost and the balance; the cost is 0 if the row was already deleted.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn delete(&mut self, row: MissingRow) -> Result<(i64, i64), WriteError> {
        let action = match row.origin {
            Origin::Session(_) => ResourceAction::DeleteSession(SessionId(row.here)),
            Origin::Todo(_) => {
                ResourceAction::DeleteTodo { id: TodoId(row.here), claim_token: None }
            }
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

    /// The existing rows that were imported from these before.
    async fn existing_rows(
        &self,
        drafts: &[SourceRow],
    ) -> StoreResult<BTreeMap<Origin, ImportRow>> {
        if drafts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let todos = drafts.iter().filter_map(|draft| match draft {
            SourceRow::Step(step) => Some(Origin::Todo(step.todo)),
            _ => None,
        });
        let origins: Vec<_> = drafts.iter().map(SourceRow::origin).chain(todos).collect();
        let account = self.caller.account.id;
        let rows = self.imports.reader.imported_rows(account, self.source, &origins).await?;
        Ok(rows.into_iter().collect())
    }

    /// A row that was imported before, sealed for its row here; `None` if it contradicts that.
    /// Steps and activities never change, and no row changes twice in one file.
    async fn again(
        &mut self,
        draft: &SourceRow,
        here: &ImportRow,
        came_before: bool,
    ) -> Result<Option<ImportRow>, WriteError> {
        let keys = self.keys(here.actor()).await?;
        let is_dry_run = self.dry_run.is_some();
        let reseal = |field: Field, row: Uid, text: &str, current: Option<&Sealed>| {
            let sealer = Sealer { keys: &keys, row };
            let Resealed { sealed, same_as } = sealer.reseal(field, text, current)?;
            // Rules depend only on whether the text is different.
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
            (SourceRow::Session(there), ImportRow::Session(here)) => {
                let text = there.notes.as_ref().map(LongText::as_str);
                let notes = text
                    .map(|text| reseal(Field::SessionNotes, here.uid, text, here.notes.as_ref()));
                let again = there.stored(here.uid, here.actor, notes.transpose()?);
                let contradicts = came_before && here.caught_up(&again).is_some();
                (!contradicts).then_some(ImportRow::SessionAgain(again))
            }
            (SourceRow::Todo(there), ImportRow::Todo(here)) => {
                let content = there.content.clone().try_seal(|field, text| {
                    let current = match field {
                        Field::TodoTitle => Some(&here.content.title),
                        _ => here.content.description.as_ref(),
                    };
                    reseal(field, here.uid, text, current)
                })?;
                let again = there.stored(here.uid, here.actor, content);
                let unlinked = again.clone().linked_to(here.content.session);
                let contradicts = came_before && here.caught_up(&unlinked) != Ok(None);
                (!contradicts).then_some(ImportRow::TodoAgain(again))
            }
            (SourceRow::Step(there), ImportRow::Step(actor, here)) => {
                let note = there.note.as_ref().map(LogNote::as_str);
                let same = is_same(Field::LogNote, here.uid, note, here.note.as_ref())
                    && (there.old_status, there.new_status, there.logged_at)
                        == (here.old_status, here.new_status, here.logged_at);
                let known = StatusChange { id: there.id, todo: there.todo, ..here.clone() };
                same.then_some(ImportRow::Step(*actor, known))
            }
            (SourceRow::Activity(there), ImportRow::Activity(here)) => {
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

    async fn sealed(&mut self, draft: &SourceRow, actor: ActorId) -> Result<ImportRow, WriteError> {
        let keys = self.keys(actor).await?;
        let uid = self.imports.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        // No rule depends on a text, and a dry run writes nothing.
        let is_dry_run = self.dry_run.is_some();
        let seal_one = |field: Field, text: &str| -> Result<_, CryptoError> {
            if is_dry_run { Ok(Sealed(Vec::new())) } else { sealer.seal(field, text) }
        };
        let seal = |field: Field, text: Option<&str>| -> Result<_, CryptoError> {
            text.map(|text| seal_one(field, text)).transpose()
        };
        Ok(match draft {
            SourceRow::Session(session) => {
                let notes =
                    seal(Field::SessionNotes, session.notes.as_ref().map(LongText::as_str))?;
                ImportRow::Session(session.stored(uid, actor, notes))
            }
            SourceRow::Todo(todo) => {
                let content = todo.content.clone().try_seal(seal_one)?;
                ImportRow::Todo(todo.stored(uid, actor, content))
            }
            SourceRow::Step(step) => ImportRow::Step(
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
            SourceRow::Activity(activity) => ImportRow::Activity(Activity {
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

    /// Drops the cached keys if the account's auth epoch has moved, as it does with every renewal.
    /// So each batch is sealed under the epochs in force when it began.
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
        self.imports.apply(&self.caller, action, self.dry_run.as_mut()).await
    }
}
