//! Imports: what was exported elsewhere, some lines at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Caller;
use super::keyrings::Keyrings;
use super::{Sealer, WriteError};
use crate::model::account::{ActorKind, Role};
use crate::model::activity::Activity;
use crate::model::id::{ActorId, Uid};
use crate::model::import::{Import, ImportRow, Imported};
use crate::model::sealed::Field;
use crate::model::session::Session;
use crate::model::text::{ActivityText, LogNote, LongText, Name, Title};
use crate::model::todo::{StatusChange, Todo};
use crate::model::unit::{AppliedRow, Intent, Refusal, UnitOfWork};
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
    /// Tells which actors have come in before.
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

impl Imports {
    /// Begins an import from that source, all of it to one actor if that is given. It is noted in the
    /// audit trail first.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], [`Refusal::NoSuchActor`], [`Refusal::OwnExport`],
    /// [`Refusal::Suspended`], or the database's fault.
    pub async fn begin(
        &self,
        caller: Arc<Caller>,
        source: Uid,
        to: Option<ActorId>,
    ) -> Result<Importing, WriteError> {
        if caller.actor.role != Role::Owner {
            return Err(Refusal::OwnerOnly.into());
        }
        let account = caller.account.id;
        let actors = self.reader.imported_actors(account, source).await?;
        let mut importing = Importing {
            imports: self.clone(),
            caller,
            source,
            to,
            actors: actors.into_iter().collect(),
            keys: BTreeMap::new(),
        };
        if let Some(to) = to {
            importing.keys(to).await?;
        }
        let (author, at) = (importing.caller.author(), self.clock.now());
        let note = Intent::NoteImport { source, actor: to };
        self.units.apply(UnitOfWork::free(author, note, at)).await?;
        Ok(importing)
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
    keys: BTreeMap<ActorId, Arc<dyn Keyring>>,
}

impl Importing {
    /// Finds the actor here for one there: the owner for the owner, and for a member the one that it
    /// was before, or else the first of its name and kind that stands for nobody else of the source.
    ///
    /// # Errors
    /// The refusal, or the database's fault.
    pub async fn actor(&mut self, actor: ActorDraft) -> Result<Outcome, WriteError> {
        if let Some(to) = self.to {
            return Ok(Ok(Imported::Known(to.0)));
        }
        if let Some(known) = self.actors.get(&actor.id) {
            return Ok(Ok(Imported::Known(known.0)));
        }
        let here = match actor.role {
            Role::Owner => self.caller.actor.id,
            Role::Member => match self.namesake(&actor).await? {
                Some(namesake) => namesake,
                None => return Ok(Err(Refusal::NoSuchActor(actor.id))),
            },
        };
        let outcomes = self.apply(vec![ImportRow::Actor(actor.id, here)]).await?;
        let outcome = outcomes.into_iter().next().ok_or_else(WriteError::mismatched)?;
        if let Ok(Imported::New(id) | Imported::Known(id)) = outcome {
            self.actors.insert(actor.id, ActorId(id));
        }
        Ok(outcome)
    }

    async fn namesake(&self, actor: &ActorDraft) -> Result<Option<ActorId>, WriteError> {
        let taken: BTreeSet<_> = self.actors.values().collect();
        let found = self.imports.accounts.actors(self.caller.account.id).await?;
        let mut fit = found.into_iter().filter(|here| {
            here.role == Role::Member
                && here.name == actor.name
                && here.kind == actor.kind
                && !taken.contains(&here.id)
        });
        Ok(fit.next().map(|here| here.id))
    }

    /// Imports some rows, at most [`crate::model::import::IMPORT_MAX_ROWS`], each by itself.
    ///
    /// # Errors
    /// The refusal of them all, or the database's fault.
    pub async fn rows(&mut self, drafts: Vec<RowDraft>) -> Result<Vec<Outcome>, WriteError> {
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut rows = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let there = draft.actor();
            match self.to.or_else(|| self.actors.get(&there).copied()) {
                Some(here) => {
                    rows.push(self.sealed(draft, here).await?);
                    outcomes.push(None);
                }
                None => outcomes.push(Some(Err(Refusal::NoSuchActor(there)))),
            }
        }
        let mut applied = self.apply(rows).await?.into_iter();
        let outcomes = outcomes.into_iter().map(|outcome| outcome.or_else(|| applied.next()));
        outcomes.collect::<Option<_>>().ok_or_else(WriteError::mismatched)
    }

    async fn sealed(&mut self, draft: RowDraft, actor: ActorId) -> Result<ImportRow, WriteError> {
        let keys = self.keys(actor).await?;
        let uid = self.imports.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        let seal = |field: Field, text: Option<&str>| -> Result<_, KeyError> {
            text.map(|text| sealer.seal(field, text)).transpose()
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
                title: sealer.seal(Field::TodoTitle, todo.title.as_str())?,
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
                description: sealer
                    .seal(Field::ActivityDescription, activity.description.as_str())?,
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

    async fn keys(&mut self, actor: ActorId) -> Result<Arc<dyn Keyring>, WriteError> {
        if let Some(keys) = self.keys.get(&actor) {
            return Ok(Arc::clone(keys));
        }
        let found = Keyrings::in_force(&*self.imports.accounts, &self.caller, actor).await?;
        let keys = Arc::clone(found.find(actor).ok_or(Refusal::NoSuchActor(actor))?);
        self.keys.insert(actor, Arc::clone(&keys));
        Ok(keys)
    }

    async fn apply(&self, rows: Vec<ImportRow>) -> Result<Vec<Outcome>, WriteError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let intent = Intent::Import(Import { source: self.source, rows });
        let at = self.imports.clock.now();
        let author = self.caller.author();
        let unit = UnitOfWork::free(author, intent, at);
        match self.imports.units.apply(unit).await?.row {
            AppliedRow::Imported(outcomes) => Ok(outcomes),
            _ => Err(WriteError::mismatched()),
        }
    }
}
