//! Accounts: what callers, operators and newcomers see of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::actor::{Actor, ActorType, Role};
use super::paging::page;
use super::words::words;
use crate::secret::{ApiKey, RecoveryCode};

words! {
    /// What an account is.
    AccountType {
        /// Its actors may run the service.
        Operator = "operator",
        /// Its actors use the service.
        Customer = "customer",
    }
}

words! {
    /// Whether an account may write.
    AccountStatus {
        /// It may.
        Active = "active",
        /// It may read, export and revoke keys.
        Suspended = "suspended",
    }
}

/// An account, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub account_id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    pub account_type: AccountType,
    /// Whether it may write.
    pub status: AccountStatus,
    /// Its credits.
    pub balance: i64,
    /// The number of its actors, deactivated ones included.
    pub actors: i64,
    /// The number of single writes that it has paid for, without imported rows.
    pub writes: i64,
    /// When it last paid for a write, single or in an import.
    pub last_write_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

page! {
    /// A page of accounts.
    AccountPage { accounts: Account }
}

/// Whether an account may write now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Whether it may.
    pub status: AccountStatus,
    /// Its id.
    pub account_id: i64,
}

/// The caller's account, actor and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The actor's id.
    pub actor_id: i64,
    /// Its name.
    pub actor_name: String,
    /// What it is.
    pub actor_type: ActorType,
    /// What it is in the account.
    pub role: Role,
    /// The account's id.
    pub account_id: i64,
    /// Its name.
    pub account_name: String,
    /// What it is.
    pub account_type: AccountType,
    /// The first 100 other actors of the account, by id.
    pub other_actors: Vec<Actor>,
    /// How many other actors the account has.
    pub other_actors_total: i64,
    /// The account's credits.
    pub credits_remaining: i64,
}

/// An account to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// Its name, 1 to 100 characters without control characters.
    pub account_name: String,
    /// The name of its owner, 1 to 100 characters without control characters.
    pub actor_name: String,
    /// What its owner is.
    pub actor_type: ActorType,
}

/// A new account with its secrets, which are shown only this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bootstrapped {
    /// The account's id.
    pub account_id: i64,
    /// The owner's id.
    pub actor_id: i64,
    /// The owner's name.
    pub actor_name: String,
    /// What the owner is.
    pub actor_type: ActorType,
    /// The owner's key.
    pub api_key: ApiKey,
    /// The key's first characters, to tell keys apart.
    pub key_prefix: String,
    /// The credits that the account starts with.
    pub credits: i64,
    /// It decrypts what the key decrypts, and is exchanged for a new key by `recover`.
    pub recovery_code: RecoveryCode,
    /// What to do with the secrets.
    pub warning: String,
}

/// A recovery code to exchange for a new key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recovery {
    /// The recovery code. It identifies its account.
    pub recovery_code: RecoveryCode,
    /// The account that the code must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<i64>,
}

/// A new key of an account's owner and a new recovery code, shown only this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recovered {
    /// The account's id.
    pub account_id: i64,
    /// The owner's id.
    pub actor_id: i64,
    /// The key's id.
    pub key_id: i64,
    /// The owner's new key.
    pub api_key: ApiKey,
    /// The key's first characters, to tell keys apart.
    pub key_prefix: String,
    /// It replaces the code that was sent, once the new key is first used.
    pub recovery_code: RecoveryCode,
    /// What to do with the secrets.
    pub warning: String,
}

/// A new recovery code. It is shown only this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveryCodeRenewed {
    /// The account's id.
    pub account_id: i64,
    /// The code.
    pub recovery_code: RecoveryCode,
    /// What to do with it.
    pub warning: String,
}

/// The confirmation that an account is to be erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Erasure {
    /// The account's newest recovery code.
    pub recovery_code: RecoveryCode,
}

/// An erased account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountErased {
    /// `erased`
    pub status: String,
    /// Its id.
    pub account_id: i64,
}
