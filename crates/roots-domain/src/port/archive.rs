//! What the core needs of a database to export what it holds, and to take it in.

use async_trait::async_trait;

use super::store::StoreResult;
use crate::command::Command;
use crate::decide::WorkingSet;
use crate::model::account::LastIds;
use crate::model::activity::Activity;
use crate::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use crate::model::import::{ImportRow, Origin};
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::todo::{StatusChange, Todo};

/// Most rows of a chunk: up to 1 MiB of texts.
pub const CHUNK_MAX_ROWS: u16 = 16;

/// What is walked through: the rows of an account whose ids had been given at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// The account.
    pub account: AccountId,
    /// The actor whose rows are wanted; `None` for all.
    pub actor: Option<ActorId>,
    /// The ids that had been given. What is newer is left out.
    pub given: LastIds,
}

/// Some rows, ascending by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportChunk<T> {
    /// The rows, at most [`CHUNK_MAX_ROWS`]; there may be none though there are more to come.
    pub rows: Vec<T>,
    /// The id to go on after; `None` when nothing is left.
    pub next: Option<i64>,
}

/// Most ids of rows that came in that are told at once.
pub const IMPORTED_MAX_IDS: u16 = 1_000;

/// A row that came in from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedId {
    /// What it is known by there.
    pub origin: Origin,
    /// Its id here.
    pub here: i64,
    /// Whether it was not deleted here.
    pub stands: bool,
}

/// Tells what has come in from elsewhere.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ImportReader: Send + Sync {
    /// The actors of that source, each with the one that it is here.
    async fn imported_actors(
        &self,
        account: AccountId,
        source: Uid,
    ) -> StoreResult<Vec<(ActorId, ActorId)>>;

    /// The rows here that came in from these of that source, and stand. Each has its id, its actor and
    /// its link here. A step is told only if its todo is among `origins`.
    async fn imported_rows(
        &self,
        account: AccountId,
        source: Uid,
        origins: &[Origin],
    ) -> StoreResult<Vec<(Origin, ImportRow)>>;

    /// What came in from that source of the kind of `after`, by its id there, from the first one
    /// after that on: at most [`IMPORTED_MAX_IDS`].
    async fn imported_after(
        &self,
        account: AccountId,
        source: Uid,
        after: Origin,
    ) -> StoreResult<Vec<ImportedId>>;

    /// The working set in which that command would be decided now, for a dry run.
    ///
    /// It MUST read all of one moment, take no lock that a writer waits for, and write nothing.
    async fn working_set_for(&self, command: &Command) -> StoreResult<WorkingSet>;
}

/// Walks through what an account holds, in the order of ids, a chunk at a time.
///
/// Each chunk MUST be one read of its own, which holds nothing once it is answered and scans no more
/// than a bounded number of rows. Ids neither move nor come back, so a row that exists throughout a
/// walk is met exactly once.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ArchiveReader: Send + Sync {
    /// Sessions after that id.
    async fn sessions_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<ExportChunk<Session<Sealed>>>;

    /// Todos after that id.
    async fn todos_after(&self, of: Holdings, after: i64)
    -> StoreResult<ExportChunk<Todo<Sealed>>>;

    /// Activities after that id.
    async fn activities_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<ExportChunk<Activity<Sealed>>>;

    /// Status changes of these todos after that one, by todo and then by id, at most
    /// [`CHUNK_MAX_ROWS`]: when there are fewer, none is left.
    async fn steps_of(
        &self,
        account: AccountId,
        todos: &[TodoId],
        after: (TodoId, LogId),
    ) -> StoreResult<Vec<StatusChange<Sealed>>>;
}
