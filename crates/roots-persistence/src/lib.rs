//! Roots on SQLite and PostgreSQL, through SeaORM.
//!
//! [`Store`] implements all database ports of the domain. Reads use a pool; writes go to writer
//! queues, whose workers apply them in batches. The two databases differ only in how they are
//! connected to and how an account is locked.

mod cluster;
mod connect;
mod distribute;
mod erase;
mod errors;
mod export;
mod node;
mod read;
mod store;
mod table;
mod verify;
mod write;

pub use connect::invalid_url::InvalidUrl;
pub use connect::readers::take_reader_slot;
pub use connect::source::OpenError;
pub use connect::sqlite_file::{FileError, FileErrorKind};
pub use connect::tls::TlsError;
pub use connect::url::DatabaseUrl;
pub use distribute::{DistributeError, Finding, NodeName, check_distribution, distribute};
pub use node::Threads;
pub use store::{BackupError, Store};
