//! Agents: all of them, and a page each.

mod list;
mod one;

pub(crate) use list::show;
pub(crate) use one::show as show_one;
