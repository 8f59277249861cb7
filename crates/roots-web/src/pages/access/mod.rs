//! `/access`: keys, sign-ins, the recovery code, the export and the audit log.

pub(crate) mod audit;
pub(crate) mod export;
pub(crate) mod key_forms;
mod overview;
pub(crate) mod page;
mod shown_once;
pub(crate) mod sign_ins;
mod wrong_key;
