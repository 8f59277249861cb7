//! What the bearer of an owner's key takes out of its account and brings in.

use crate::model::id::{ActorId, Uid};
use crate::model::import::Import;

/// A move of data out of an account or into it. Only the account's owner may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferAction {
    /// Import rows. Each row is paid for by itself.
    Import(Import),
    /// Note that the caller begins to bring in what another account has.
    NoteImport {
        /// The account that it comes from.
        source: Uid,
        /// The actor that all of it is to be of; `None` where each row keeps an actor of its own.
        actor: Option<ActorId>,
    },
    /// Note that the caller exports what its account has.
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
