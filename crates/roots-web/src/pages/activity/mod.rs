//! Activity: what was done, by day, with filters that stand in the address.

mod charts;
mod download;
mod filter;
mod list;
mod one;

pub(crate) use download::download;
pub(crate) use list::show;
pub(crate) use one::show as show_one;
