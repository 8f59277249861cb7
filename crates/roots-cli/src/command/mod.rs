//! The commands, one file a group, with their arguments.

pub(crate) mod actors;
pub(crate) mod brief;
mod brief_text;
pub(crate) mod credits;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod import;
mod import_text;
mod key_text;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod shell;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod todo;
