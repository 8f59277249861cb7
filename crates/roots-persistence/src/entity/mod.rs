//! The tables, as SeaORM sees them. The columns speak for themselves; what they mean stands in the
//! migrations, and in the domain's types that [`crate::row`] translates them to.

pub(crate) mod accounts;
pub(crate) mod activities;
pub(crate) mod activity_daily;
pub(crate) mod activity_quarters;
pub(crate) mod actors;
pub(crate) mod api_keys;
pub(crate) mod audit_trail;
pub(crate) mod directory;
pub(crate) mod erasures;
pub(crate) mod idempotency;
pub(crate) mod imports;
pub(crate) mod key_wraps;
pub(crate) mod ledger;
pub(crate) mod recovery_codes;
pub(crate) mod session_deletions;
pub(crate) mod sessions;
pub(crate) mod tallies;
pub(crate) mod todo_logs;
pub(crate) mod todos;
pub(crate) mod usage;
