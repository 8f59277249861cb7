//! The commands, one file a group, with their arguments.

pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod todo;
