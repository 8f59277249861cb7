//! Connections: which database a URL means, how to connect to it, and pools to read by.

pub(crate) mod invalid_url;
pub(crate) mod postgres;
pub(crate) mod reader_pool;
pub(crate) mod readers;
pub(crate) mod source;
pub(crate) mod sqlite;
pub(crate) mod sqlite_file;
pub(crate) mod tls;
pub(crate) mod url;
pub(crate) mod write_health;
