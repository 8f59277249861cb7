//! Sealing, the key hierarchy and API keys of Roots, on ring.
//!
//! This crate stores nothing and knows no database: it makes and opens bytes behind the domain's
//! ports [`Locksmith`](roots_domain::port::keys::Locksmith) and
//! [`Keyring`](roots_domain::port::keys::Keyring). `docs/security.md` has the formats; the vectors
//! in `tests/vectors_1.json` hold them fixed. To change a byte of them is to make format 2, which
//! reads format 1 too.

mod hierarchy;
mod seal;
mod token;

pub use hierarchy::RingLocksmith;
pub use seal::{Entropy, SystemEntropy};
