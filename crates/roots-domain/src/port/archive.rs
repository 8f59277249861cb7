//! Ports for exports and imports.

use async_trait::async_trait;

use super::store::StoreResult;
use crate::command::Command;
use crate::decide::WorkingSet;
use crate::model::account::LastIds;
use crate::model::activity::Activity;
use crate::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use crate::model::import::{ImportRow, Origin, OriginKind};
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::todo::{StatusChange, Todo};

/// Most rows of a chunk: up to 1 MiB of texts.
pub const CHUNK_MAX_ROWS: u16 = 16;

/// The rows to walk through: those of an account whose ids had been assigned at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportScope {
    /// The account.
    pub account: AccountId,
    /// The actor whose rows are wanted; `None` for all actors.
    pub actor: Option<ActorId>,
    /// The last ids assigned at that moment. Newer rows are left out.
    pub given: LastIds,
}

/// Some rows, ascending by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportChunk<T> {
    /// The rows, at most [`CHUNK_MAX_ROWS`]. The chunk may be empty although more rows follow.
    pub rows: Vec<T>,
    /// The id to continue after; `None` at the end.
    pub next: Option<i64>,
}

/// Most ids of imported rows that are returned at once.
pub const IMPORTED_MAX_IDS: u16 = 1_000;

/// An imported row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedId {
    /// Its identity in the source.
    pub origin: Origin,
    /// Its id here.
    pub here: i64,
    /// Whether it still exists here.
    pub exists: bool,
}

/// Reads which rows were imported.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ImportReader: Send + Sync {
    /// The actors of that source, each with its local actor.
    async fn imported_actors(
        &self,
        account: AccountId,
        source: Uid,
    ) -> StoreResult<Vec<(ActorId, ActorId)>>;

    /// The existing rows that were imported from these rows of that source, with their ids, actors
    /// and links here. A step is returned only if its todo is among `origins`.
    async fn imported_rows(
        &self,
        account: AccountId,
        source: Uid,
        origins: &[Origin],
    ) -> StoreResult<Vec<(Origin, ImportRow)>>;

    /// The rows of that kind imported from that source, by their ids there: those after `after`, or
    /// the first ones, at most [`IMPORTED_MAX_IDS`].
    async fn imported_after(
        &self,
        account: AccountId,
        source: Uid,
        kind: OriginKind,
        after: Option<i64>,
    ) -> StoreResult<Vec<ImportedId>>;

    /// The working set in which that command would be decided now, for a dry run.
    ///
    /// It MUST read a consistent snapshot, take no lock that a writer waits for, and write nothing.
    async fn working_set_for(&self, command: &Command) -> StoreResult<WorkingSet>;
}

/// Reads the rows of an account in the order of their ids, in chunks.
///
/// Each chunk MUST be a separate read, which holds nothing after it returns and scans a bounded
/// number of rows. Ids never change and are never reused, so a row that exists throughout a walk is
/// read exactly once.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ArchiveReader: Send + Sync {
    /// Sessions after that id, or the first ones.
    async fn sessions_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
    ) -> StoreResult<ExportChunk<Session<Sealed>>>;

    /// Todos after that id, or the first ones.
    async fn todos_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
    ) -> StoreResult<ExportChunk<Todo<Sealed>>>;

    /// Activities after that id, or the first ones.
    async fn activities_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
    ) -> StoreResult<ExportChunk<Activity<Sealed>>>;

    /// Status changes of these todos, or those after that one, by todo and then by id, at most
    /// [`CHUNK_MAX_ROWS`]: when there are fewer, none is left.
    async fn steps_of(
        &self,
        account: AccountId,
        todos: &[TodoId],
        after: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>>;
}
