//! Reading sealed texts to search them.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::id::{ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::sealed::{Field, Sealed};
use crate::model::search::SearchKind;
use crate::model::time::Timestamp;
use crate::model::todo::{Priority, StatusChange, TodoStatus};

/// Most bytes of an item's sealed texts that are read with other items. Longer ones are read alone,
/// so that the rows of one read hold little memory.
pub const SHORT_TEXTS_MAX_BYTES: i64 = 4_096;
/// Most log notes of one read: up to 2 MiB.
pub const NOTES_CHUNK_ROWS: u16 = 256;

/// The items that a search goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFilter {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only this session and the rows linked to it.
    pub session: Option<SessionId>,
    /// Only items from then on.
    pub since: Option<Timestamp>,
}

/// Items that an index holds by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemSource {
    /// Sessions, by their start.
    Sessions,
    /// Todos of one priority, by when they were made.
    Todos {
        /// The priority.
        priority: Priority,
        /// Only this status.
        status: Option<TodoStatus>,
    },
    /// Activities, by when they happened.
    Activities,
}

impl ItemSource {
    /// The kind of its items.
    #[must_use]
    pub const fn kind(self) -> SearchKind {
        match self {
            Self::Sessions => SearchKind::Session,
            Self::Todos { .. } => SearchKind::Todo,
            Self::Activities => SearchKind::Activity,
        }
    }
}

/// The position of an item among those of its source, which descend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPosition {
    /// Its time.
    pub at: Timestamp,
    /// Its id.
    pub id: i64,
}

/// An item whose texts are searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedItem {
    /// Its id.
    pub id: i64,
    /// Its identity.
    pub uid: Uid,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// Its time.
    pub at: Timestamp,
    /// Its texts, without those of a todo's log; `None` if they have more than
    /// [`SHORT_TEXTS_MAX_BYTES`] together.
    pub texts: Option<Vec<(Field, Sealed)>>,
}

/// Reads texts to search them.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SearchReader: Send + Sync {
    /// The first `most` items of a source before that position, descending by time, then by id.
    /// MUST NOT scan items that it does not return, except for those of other actors that are
    /// linked to the session of the filter.
    async fn items_before(
        &self,
        filter: &ItemFilter,
        source: ItemSource,
        before: ItemPosition,
        most: u32,
    ) -> StoreResult<Vec<SealedItem>>;

    /// The status changes of these todos that have a note, before that one, descending by todo,
    /// then by id, at most [`NOTES_CHUNK_ROWS`]: when there are fewer, none is left.
    async fn notes_before(
        &self,
        by: Admission,
        todos: &[TodoId],
        before: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>>;
}
