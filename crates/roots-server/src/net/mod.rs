//! Connections and the threads that serve them.

pub(crate) mod connections;
pub(crate) mod listen;
pub(crate) mod open_files;
pub(crate) mod processors;
pub(crate) mod threads;
mod write_timeout;
