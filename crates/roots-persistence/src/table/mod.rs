//! The tables, as SeaORM sees them, and the conversion of their rows to and from the domain's
//! types. The migrations say what the columns mean.
//!
//! A row that Roots can't have written is an [`InvalidRow`]: an error, never a default.

use roots_domain::model::api_key::{KeyEpoch, LookupHash};
use roots_domain::model::text::Name;
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::StoreError;

use crate::errors::BatchError;

pub(crate) mod accounts;
pub(crate) mod activities;
pub(crate) mod activity_daily;
pub(crate) mod activity_quarter_hours;
pub(crate) mod actors;
pub(crate) mod api_keys;
pub(crate) mod audit_log;
pub(crate) mod claim_deadlines;
pub(crate) mod counters;
pub(crate) mod directory;
pub(crate) mod erasures;
pub(crate) mod idempotency;
pub(crate) mod imports;
pub(crate) mod key_wraps;
pub(crate) mod ledger;
pub(crate) mod recovery_codes;
pub(crate) mod session_activity;
pub(crate) mod session_deletions;
pub(crate) mod sessions;
pub(crate) mod shown;
pub(crate) mod sign_ins;
pub(crate) mod todo_logs;
pub(crate) mod todos;
pub(crate) mod usage;
pub(crate) mod work_quarter_hours;

/// A row that Roots can't have written.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} holds a value that Roots never writes")]
pub(crate) struct InvalidRow {
    table: &'static str,
    column: &'static str,
}

impl From<InvalidRow> for StoreError {
    fn from(invalid: InvalidRow) -> Self {
        Self::Broken(invalid.to_string())
    }
}

impl From<InvalidRow> for BatchError {
    fn from(invalid: InvalidRow) -> Self {
        Self::Data(invalid.to_string())
    }
}

pub(crate) fn known<T>(
    value: Option<T>,
    table: &'static str,
    column: &'static str,
) -> Result<T, InvalidRow> {
    value.ok_or(InvalidRow { table, column })
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

pub(crate) fn epoch(number: i64, table: &'static str) -> Result<KeyEpoch, InvalidRow> {
    known(i32::try_from(number).ok().map(KeyEpoch), table, "epoch")
}

fn lookup(bytes: Vec<u8>, table: &'static str) -> Result<LookupHash, InvalidRow> {
    known(bytes.try_into().ok().map(LookupHash), table, "lookup")
}

pub(crate) fn name(
    text: String,
    table: &'static str,
    column: &'static str,
) -> Result<Name, InvalidRow> {
    known(Name::parse(text).ok(), table, column)
}
