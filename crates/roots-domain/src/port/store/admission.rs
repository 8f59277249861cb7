//! On whose behalf a read is made.

use crate::model::id::AccountId;

/// On whose behalf rows are read: what a caller was admitted under.
///
/// What takes it MUST answer [`StoreError::EpochMoved`](super::StoreError::EpochMoved), and nothing of the rows, where the account has
/// another auth epoch at the moment that is read, or is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Admission {
    /// The caller's account.
    pub account: AccountId,
    /// The auth epoch that it had. `None` for what is looked up for a write, which is judged by itself
    /// under the account's lock, or for the program: then nothing is checked.
    pub auth_epoch: Option<i64>,
}

impl From<AccountId> for Admission {
    /// Nothing is checked.
    fn from(account: AccountId) -> Self {
        Self { account, auth_epoch: None }
    }
}

/// Tells of accounts whose auth epoch has moved.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait AuthEpochs: Send + Sync {
    /// Has a listener told of each account whose auth epoch this process has moved, or that it has
    /// erased. It MUST be told once COMMIT is known to stand, or not known to have failed, before anyone
    /// is answered, and whether or not the caller is still there. It is called on a thread that writes,
    /// and must be quick.
    fn listen(&self, listener: EpochListener);
}

/// Is told of an account.
pub type EpochListener = Box<dyn Fn(AccountId) + Send + Sync>;
