//! The persistence suite: everything runs on SQLite files and on a real PostgreSQL.

mod resources;
