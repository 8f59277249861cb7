//! What the core needs of a database to export what it holds, and to take it in.

use async_trait::async_trait;

use super::store::StoreResult;
use crate::model::account::Counters;
use crate::model::activity::Activity;
use crate::model::books::Books;
use crate::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::todo::{StatusChange, Todo};
use crate::model::unit::UnitOfWork;

/// Most rows of a piece: up to 1 MiB of texts.
pub const PIECE_MAX_ROWS: u16 = 16;

/// What is walked through: the rows of an account whose ids had been given at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// The account.
    pub account: AccountId,
    /// The actor whose rows are wanted; `None` for all.
    pub actor: Option<ActorId>,
    /// The ids that had been given. What is newer is left out.
    pub given: Counters,
}

/// Some rows, ascending by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<T> {
    /// The rows, at most [`PIECE_MAX_ROWS`]; there may be none though there are more to come.
    pub rows: Vec<T>,
    /// The id to go on after; `None` when nothing is left.
    pub next: Option<i64>,
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

    /// The books in which that unit would be decided now, for a dry run.
    ///
    /// It MUST read all of one moment, take no lock that a writer waits for, and write nothing.
    async fn books_for(&self, unit: &UnitOfWork) -> StoreResult<Books>;
}

/// Walks through what an account holds, in the order of ids, a piece at a time.
///
/// Each piece MUST be one read of its own, which holds nothing once it is answered and scans no more
/// than a bounded number of rows. Ids neither move nor come back, so a row that exists throughout a
/// walk is met exactly once.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ArchiveReader: Send + Sync {
    /// Sessions after that id.
    async fn sessions_after(&self, of: Holdings, after: i64)
    -> StoreResult<Piece<Session<Sealed>>>;

    /// Todos after that id.
    async fn todos_after(&self, of: Holdings, after: i64) -> StoreResult<Piece<Todo<Sealed>>>;

    /// Activities after that id.
    async fn activities_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<Piece<Activity<Sealed>>>;

    /// Status changes of these todos after that one, by todo and then by id, at most
    /// [`PIECE_MAX_ROWS`]: when there are fewer, none is left.
    async fn steps_of(
        &self,
        account: AccountId,
        todos: &[TodoId],
        after: (TodoId, LogId),
    ) -> StoreResult<Vec<StatusChange<Sealed>>>;
}
