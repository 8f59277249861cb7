//! The admission on which a read is based.

use crate::model::id::AccountId;

/// The account and auth epoch under which a caller was admitted.
///
/// A read that takes it MUST return [`StoreError::EpochMoved`](super::StoreError::EpochMoved), and
/// no rows, if the account has another auth epoch in the snapshot that is read, or was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Admission {
    /// The caller's account.
    pub account: AccountId,
    /// The auth epoch that it had. `None` for look-ups of a write, which is checked later under the
    /// account's lock, and for those of the program: then nothing is checked.
    pub auth_epoch: Option<i64>,
}

impl From<AccountId> for Admission {
    /// Nothing is checked.
    fn from(account: AccountId) -> Self {
        Self { account, auth_epoch: None }
    }
}

/// Reports accounts whose auth epoch has moved.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait AuthEpochs: Send + Sync {
    /// Registers a listener for accounts whose auth epoch this process has moved, or that it has
    /// erased. It MUST be called after a COMMIT that succeeded or whose outcome is unknown, before
    /// any reply, and even if the caller is gone. It runs on a writer's thread and must be quick.
    fn listen(&self, listener: EpochListener);
}

/// A listener, called with the account.
pub type EpochListener = Box<dyn Fn(AccountId) + Send + Sync>;
