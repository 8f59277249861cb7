//! Writes: commands are queued, taken in batches, and applied in one transaction for each batch.
//!
//! A command goes through [`queue`], whose [`worker`] takes batches on a [`thread`] of its own and
//! applies each through its [`connection`]. [`batch`] is the transaction: it takes a [`lock`] for
//! each account, [`load`]s what the commands depend on, lets the domain decide them, and [`store`]s
//! the changes. On a cluster it does so [`by_shard`].

mod batch;
mod blocked_accounts;
mod blocked_queue;
mod by_shard;
mod claims;
pub(crate) mod connection;
mod fair_queue;
pub(crate) mod filter;
mod idempotency_record;
pub(crate) mod in_flight;
pub(crate) mod load;
mod lock;
mod memory;
pub(crate) mod queue;
mod queued;
mod sql;
mod store;
pub(crate) mod thread;
pub(crate) mod transaction;
mod unlink;
mod upsert;
pub(crate) mod worker;
