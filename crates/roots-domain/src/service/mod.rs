//! What callers ask for: one service a resource.
//!
//! A read asks a reader and opens what it finds. A write validates, seals and hands the store one
//! [`Command`](crate::command::Command); the store decides. Authorization is by construction: every call demands the
//! [`Caller`](access::Caller), and queries demand the account.

pub mod access;
pub mod accounts;
pub mod activities;
pub mod erasures;
pub mod exports;
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
mod services;
pub mod sessions;
pub mod todos;
pub mod usage;
mod write;
mod write_behind;

pub use outcome::{ReadError, WriteError, Written};
pub use sealing::{Opening, SealedRow};
pub use services::{Ports, Services};
pub use write::{IdempotentRequest, Preconditions};
pub use write_behind::WriteBehind;

#[cfg(test)]
mod tests;
