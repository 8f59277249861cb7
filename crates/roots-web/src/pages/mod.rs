//! The pages, one file each.

pub(crate) mod accounts;
mod conflict;
pub(crate) mod sessions;
pub(crate) mod theme;
pub(crate) mod todos;
