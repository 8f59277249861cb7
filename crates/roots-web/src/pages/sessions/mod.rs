//! `/sessions`: the list, and one session.

pub(crate) mod change;
mod entries;
pub(crate) mod item;
pub(crate) mod list;
mod timeline;
