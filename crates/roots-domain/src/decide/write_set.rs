//! What a batch changes.

use super::read_set::ImportKey;
use super::rows::{Difference, RowKey};
use std::collections::{BTreeMap, BTreeSet};

use crate::command::IdempotencyRecord;
use crate::model::account::{Account, Actor};
use crate::model::activity::Activity;
use crate::model::api_key::{ApiKey, RecoveryCode, Wrap, WrapHolder};
use crate::model::audit::AuditEntry;
use crate::model::counter::{Counter, QuarterHourCounter};
use crate::model::credit::LedgerEntry;
use crate::model::id::{AccountId, ActivityId, ActorId, KeyId, RecoveryId, SessionId, TodoId, Uid};
use crate::model::idempotency::IdempotencyRecordKey;
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo};
use crate::model::usage::Calls;

/// What there is of all accounts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directory {
    /// The last account id given, 0 for none.
    pub last_account: i64,
    /// How many accounts there are.
    pub accounts: i64,
    /// The id of the installation, once its first start has named it.
    pub installation: Option<Uid>,
}

/// What a batch changes, to be written whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// The directory, where it moved.
    pub directory: Option<Directory>,
    /// New accounts.
    pub accounts_founded: Vec<Account>,
    /// Accounts that end, and when.
    pub erased: Vec<(AccountId, Timestamp)>,
    /// Accounts that have ended, of which some rows are swept.
    pub swept: Vec<(AccountId, Timestamp)>,
    /// Changed accounts, whole. Their version is one above the one loaded, which guards the write.
    pub accounts_changed: Vec<Account>,
    /// Accounts whose auth epoch has moved.
    pub auth_epochs_moved: Vec<AccountId>,
    /// Actors.
    pub actors: Difference<ActorId, Actor>,
    /// Keys.
    pub keys: Difference<KeyId, ApiKey>,
    /// Recovery codes.
    pub codes: Difference<RecoveryId, RecoveryCode>,
    /// Holders of which all wraps go, before the new ones come.
    pub holders_emptied: BTreeSet<RowKey<WrapHolder>>,
    /// New wraps.
    pub wraps: Vec<(AccountId, Wrap)>,
    /// Sessions. Whatever is linked to those deleted is to count as unlinked at once.
    pub sessions: Difference<SessionId, Session<Sealed>>,
    /// Todos. Their logs go with those deleted.
    pub todos: Difference<TodoId, Todo<Sealed>>,
    /// Activities.
    pub activities: Difference<ActivityId, Activity<Sealed>>,
    /// New status changes.
    pub logs: Vec<(AccountId, StatusChange<Sealed>)>,
    /// New rows that have come in from elsewhere, and the ids that they were given.
    pub imported: Vec<(ImportKey, i64)>,
    /// New ledger rows.
    pub ledger: Vec<(AccountId, LedgerEntry)>,
    /// New entries of the audit log.
    pub audit_log: Vec<(AccountId, AuditEntry)>,
    /// By how much each count moved; none is 0.
    pub counters: BTreeMap<(AccountId, Counter), i64>,
    /// By how much each count of a quarter hour moved; none is 0.
    pub quarter_hours: BTreeMap<(AccountId, QuarterHourCounter), i64>,
    /// How many calls to add.
    pub calls: BTreeMap<Calls, i64>,
    /// Sessions that were deleted, and how many rows at most are to lose their link to each now.
    pub unlinked: Vec<(RowKey<SessionId>, u32)>,
    /// New answers to keep. One may take the place of an expired one.
    pub idempotency_records: BTreeMap<IdempotencyRecordKey, IdempotencyRecord>,
    /// Accounts of which some answers from before then are to be forgotten.
    pub forgotten: Vec<(AccountId, Timestamp)>,
}
