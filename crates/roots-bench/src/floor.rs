//! What this machine can do without Roots.

pub(crate) mod pgbench;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod web;
