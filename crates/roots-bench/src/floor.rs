//! What this machine can do at best, with nothing of ours in the way.

pub(crate) mod pgbench;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod web;
