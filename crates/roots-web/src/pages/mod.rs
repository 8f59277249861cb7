//! The pages, one file each.

pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod agents;
mod conflict;
pub(crate) mod credits;
pub(crate) mod live;
pub(crate) mod now;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod theme;
pub(crate) mod todos;
