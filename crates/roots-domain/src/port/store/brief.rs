//! Reading what a brief tells.

use std::sync::Arc;

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::brief::BriefRows;
use crate::model::id::{ActorId, SessionId};
use crate::model::sealed::Sealed;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;

/// Most descriptions of a brief that are longer than
/// [`SHORT_TEXTS_MAX_BYTES`](super::SHORT_TEXTS_MAX_BYTES): those of the first todos and of the
/// newest activities. The others are not read.
pub const LONG_TEXTS_MAX: usize = 8;

/// A query for what a brief tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// The session that the reader works in, if it names one.
    pub reader: Option<SessionId>,
    /// The start of what is reported; `None` for the end of the last session.
    pub since: Option<Timestamp>,
    /// Most rows of a list.
    pub rows: u32,
}

/// Reads what a brief tells.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait BriefReader: Send + Sync {
    /// The rows of a brief, all of one snapshot. They have no `reader` if the query names none, or
    /// one that does not exist or is another actor's. A text that is too long to be read is `None`:
    /// see [`LONG_TEXTS_MAX`]. The clock judges deadlines, as it does for claims. MUST NOT scan
    /// more rows of a large account than of a small one.
    async fn brief(
        &self,
        query: &BriefQuery,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<BriefRows<Option<Sealed>>>;
}
