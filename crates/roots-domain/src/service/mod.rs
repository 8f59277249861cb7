//! The operations that callers use: one service for each resource.
//!
//! A read queries a reader and decrypts the result. A write validates, encrypts and submits one
//! [`Command`](crate::command::Command) to the store, which decides. Authorization is by
//! construction: every call needs the [`Caller`](access::Caller), and queries need the account.

pub mod access;
pub mod accounts;
pub mod activities;
pub mod brief;
pub mod dashboard;
pub mod erasures;
pub mod events;
pub mod exports;
pub mod idle_sessions;
pub mod imports;
pub mod key_usage;
pub mod keyrings;
pub mod keys;
pub mod leftovers;
pub mod maintenance;
pub mod operators;
mod outcome;
pub mod recovery;
mod sealing;
pub mod search;
mod services;
pub mod sessions;
pub mod sign_ins;
pub mod todos;
pub mod usage;
mod write;
mod write_behind;

pub use outcome::{ReadError, WriteError, Written};
pub use sealing::{Opening, SealedRow};
pub use services::{Ports, Services};
pub use write::{IdempotentRequest, Preconditions, Writes};
pub use write_behind::WriteBehind;

#[cfg(test)]
mod tests;
