//! Imports: what was exported elsewhere, some lines at a time; or a dry run of one, which goes the same
//! way and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use super::keyrings::Keyrings;
use super::{Sealer, WriteError};
use crate::model::account::{Actor, ActorKind, Role};
use crate::model::activity::Activity;
use crate::model::books::DryRun;
use crate::model::id::{ActorId, Uid};
use crate::model::import::{Import, ImportRow, Imported};
use crate::model::sealed::{Field, Sealed};
use crate::model::session::Session;
use crate::model::text::{ActivityText, LogNote, LongText, Name, Title};
use crate::model::todo::{StatusChange, Todo};
use crate::model::unit::{Applied, AppliedRow, Intent, Refusal, UnitOfWork};
use crate::port::ambient::{Clock, Uids};
use crate::port::archive::ImportReader;
use crate::port::keys::{KeyError, Keyring};
use crate::port::store::{AccountReader, UnitStore};

/// Imports.
#[derive(Clone)]
pub struct Imports {
    /// Applies writes.
    pub units: Arc<dyn UnitStore>,
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
#[derive(Debug, Clone)]
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
pub type Outcome = Result<Imported, Refusal>;

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
    /// fault.
    pub async fn check(&self, caller: Arc<Caller>, mode: ImportMode) -> Result<(), WriteError> {
        // No source is needed for no rows.
        let mut importing = self.importing(caller, Uid::NIL, None, mode)?;
        importing.rows(Vec::new()).await?;
        Ok(())
    }

    /// Begins an import from that source, all of it to one actor if that is given. It is noted in the
    /// audit trail first, but for a dry run.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::NoSuchActor`], [`Refusal::OwnExport`],
    /// [`Refusal::Suspended`], or the database's fault.
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
        importing.apply(Intent::NoteImport { source, actor: to }).await?;
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
    dry_run: Option<DryRun>,
}

impl Importing {
    /// Finds the actor here for one there: the owner for the owner, of whom a source has one, and for a
    /// member the one that it was before, or else the first of its name and kind that stands for nobody
    /// else of the source. It is remembered with the first of its rows that is written.
    ///
    /// # Errors
    /// The database's fault.
    pub async fn actor(&mut self, actor: ActorDraft) -> Result<Outcome, WriteError> {
        if let Some(to) = self.to {
            return Ok(Ok(Imported::Known(to.0)));
        }
        if let Some(known) = self.actors.get(&actor.id) {
            return Ok(Ok(Imported::Known(known.0)));
        }
        let owner = self.caller.actor.id;
        let here = match actor.role {
            Role::Owner => self.actors.values().all(|here| *here != owner).then_some(owner),
            Role::Member => self.namesake(&actor).await?,
        };
        let Some(here) = here else { return Ok(Err(Refusal::NoSuchActor(actor.id))) };
        self.actors.insert(actor.id, here);
        Ok(Ok(Imported::New(here.0)))
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
    /// fault.
    pub async fn rows(&mut self, drafts: Vec<RowDraft>) -> Result<Batch, WriteError> {
        if !drafts.is_empty() && self.dry_run.is_none() {
            self.forget_renewed_keys().await?;
        }
        let mut refused = Vec::with_capacity(drafts.len());
        let (mut rows, mut actors) = (Vec::with_capacity(drafts.len()), BTreeMap::new());
        for draft in drafts {
            let there = draft.actor();
            match (self.to, self.actors.get(&there)) {
                (Some(here), _) => {
                    rows.push(self.sealed(draft, here).await?);
                    refused.push(None);
                }
                (None, Some(&here)) => {
                    rows.push(self.sealed(draft, here).await?);
                    actors.insert(here, there);
                    refused.push(None);
                }
                (None, None) => refused.push(Some(Refusal::NoSuchActor(there))),
            }
        }
        let intent = Intent::Import(Import { source: self.source, actors, rows });
        let applied = self.apply(intent).await?;
        let AppliedRow::Imported(applied_rows) = applied.row else {
            return Err(WriteError::mismatched());
        };
        let mut applied_rows = applied_rows.into_iter();
        let mut outcomes = Vec::with_capacity(refused.len());
        for refused in refused {
            let outcome = match refused {
                Some(refusal) => Err(refusal),
                None => applied_rows.next().ok_or_else(WriteError::mismatched)?,
            };
            let is_over = matches!(outcome, Err(Refusal::InsufficientCredits { .. }));
            outcomes.push(outcome);
            if is_over {
                break;
            }
        }
        Ok(Batch { outcomes, cost: applied.cost, balance: applied.balance })
    }

    async fn sealed(&mut self, draft: RowDraft, actor: ActorId) -> Result<ImportRow, WriteError> {
        let keys = self.keys(actor).await?;
        let uid = self.imports.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        // No rule rests on a text, and what a dry run decides is not written.
        let is_dry_run = self.dry_run.is_some();
        let seal_one = |field: Field, text: &str| -> Result<_, KeyError> {
            if is_dry_run { Ok(Sealed(Vec::new())) } else { sealer.seal(field, text) }
        };
        let seal = |field: Field, text: Option<&str>| -> Result<_, KeyError> {
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
                activity_type: activity.activity_type,
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

    async fn apply(&mut self, intent: Intent) -> Result<Applied, WriteError> {
        let at = self.imports.clock.now();
        let unit = UnitOfWork::free(self.caller.author(), intent, at);
        match &mut self.dry_run {
            None => Ok(self.imports.units.apply(unit).await?),
            Some(dry_run) => {
                let books = self.imports.reader.books_for(&unit).await?;
                Ok(dry_run.decide_at(books, unit, self.imports.clock.now())?)
            }
        }
    }
}
