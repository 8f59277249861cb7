//! Exports and imports by the bearer of an owner's key.

use crate::model::id::{ActorId, Uid};
use crate::model::import::Import;

/// A move of data out of an account or into it. Only the account's owner may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferAction {
    /// Check that the caller may import. Nothing changes.
    CheckImport,
    /// Import rows. Each row is charged separately.
    Import(Import),
    /// Note that the caller begins an import from another account.
    NoteImport {
        /// The account that it comes from.
        source: Uid,
        /// The actor that all rows will belong to; `None` if each row keeps its own actor.
        actor: Option<ActorId>,
    },
    /// Note that the caller exports its account.
    NoteExport {
        /// The only actor whose rows are exported, if one was named.
        actor: Option<ActorId>,
    },
}

impl TransferAction {
    /// Whether a suspended account may do it.
    #[must_use]
    pub const fn is_open_to_suspended(&self) -> bool {
        matches!(self, Self::NoteExport { .. })
    }
}
