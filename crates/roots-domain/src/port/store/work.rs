//! Queries for counts of todos and credits.

use super::admission::Admission;
use crate::model::id::ActorId;
use crate::model::work::WorkWindow;

/// A query for statistics of todos or credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only counts of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// The window.
    pub window: WorkWindow,
}
