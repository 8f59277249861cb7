//! The changes of a batch.

use super::read_set::ImportKey;
use super::rows::{Difference, RowKey};
use std::collections::{BTreeMap, BTreeSet};

use crate::command::IdempotencyRecord;
use crate::model::account::{Account, Actor};
use crate::model::activity::Activity;
use crate::model::api_key::{ApiKey, RecoveryCode, Wrap, WrapHolder};
use crate::model::audit::AuditEntry;
use crate::model::counter::{Counter, QuarterHourCounter, WorkCounter, WorkCounts};
use crate::model::credit::LedgerEntry;
use crate::model::deadline::Deadline;
use crate::model::id::{
    AccountId, ActivityId, ActorId, KeyId, RecoveryId, SessionId, SignInId, TodoId, Uid,
};
use crate::model::idempotency::IdempotencyRecordKey;
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionActivity};
use crate::model::sign_in::{OpenerEnd, SignIn};
use crate::model::time::Timestamp;
use crate::model::todo::{StatusChange, Todo};
use crate::model::usage::Calls;

/// The state that all accounts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directory {
    /// The last account id that was given, if any was.
    pub last_account: Option<AccountId>,
    /// The number of accounts.
    pub accounts: i64,
    /// The id of the installation, once the first start has set it.
    pub installation: Option<Uid>,
}

/// The changes of a batch, to be written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// The directory, if it has changed.
    pub directory: Option<Directory>,
    /// New accounts.
    pub accounts_founded: Vec<Account>,
    /// Accounts that are erased, and when.
    pub erased: Vec<(AccountId, Timestamp)>,
    /// Erased accounts of which some rows are swept.
    pub swept: Vec<(AccountId, Timestamp)>,
    /// Changed accounts. Their version is one above the loaded one, which guards the write.
    pub accounts_changed: Vec<Account>,
    /// Accounts whose auth epoch has moved.
    pub auth_epochs_moved: Vec<AccountId>,
    /// Actors.
    pub actors: Difference<ActorId, Actor>,
    /// Keys.
    pub keys: Difference<KeyId, ApiKey>,
    /// Recovery codes.
    pub codes: Difference<RecoveryId, RecoveryCode>,
    /// Sign-ins.
    pub sign_ins: Difference<SignInId, SignIn>,
    /// Keys that have ended, and how. The sign-ins that each has opened end with it, loaded or not,
    /// and their wraps are deleted.
    pub openers_ended: BTreeMap<RowKey<KeyId>, OpenerEnd>,
    /// Holders whose wraps are all deleted before new ones are inserted.
    pub holders_emptied: BTreeSet<RowKey<WrapHolder>>,
    /// New wraps.
    pub wraps: Vec<(AccountId, Wrap)>,
    /// Sessions. Rows that are linked to deleted ones must count as unlinked at once.
    pub sessions: Difference<SessionId, Session<Sealed>>,
    /// When sessions were last active. Those of deleted sessions are deleted.
    pub session_activity: Difference<SessionId, SessionActivity>,
    /// Todos. The logs of deleted ones are deleted too.
    pub todos: Difference<TodoId, Todo<Sealed>>,
    /// Deadlines of claims.
    pub deadlines: Difference<TodoId, Deadline>,
    /// When sessions were deleted. The claims that were made for them live on for their leases.
    pub claims_left: BTreeMap<RowKey<SessionId>, Timestamp>,
    /// Activities.
    pub activities: Difference<ActivityId, Activity<Sealed>>,
    /// New status changes, each with the actor of its todo.
    pub logs: Vec<(AccountId, ActorId, StatusChange<Sealed>)>,
    /// Newly imported rows, and their ids here.
    pub imported: Vec<(ImportKey, i64)>,
    /// New ledger rows.
    pub ledger: Vec<(AccountId, LedgerEntry)>,
    /// New entries of the audit log.
    pub audit_log: Vec<(AccountId, AuditEntry)>,
    /// The change of each counter; never 0.
    pub counters: BTreeMap<(AccountId, Counter), i64>,
    /// The change of each counter of a quarter hour; never 0.
    pub quarter_hours: BTreeMap<(AccountId, QuarterHourCounter), i64>,
    /// The change of the counts of each quarter hour of todos and credits; never empty.
    pub work: BTreeMap<(AccountId, WorkCounter), WorkCounts>,
    /// The numbers of calls to add.
    pub calls: BTreeMap<Calls, i64>,
    /// Deleted sessions, and how many rows at most to unlink from each now.
    pub unlinked: Vec<(RowKey<SessionId>, u32)>,
    /// New idempotency records. A record may replace an expired one.
    pub idempotency_records: BTreeMap<IdempotencyRecordKey, IdempotencyRecord>,
    /// Accounts of which some idempotency records from before that time are deleted.
    pub forgotten: Vec<(AccountId, Timestamp)>,
}
