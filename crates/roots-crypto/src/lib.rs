//! Sealing, the key hierarchy and API keys of Roots, on ring.
//!
//! This crate stores nothing. It implements the domain's ports
//! [`Locksmith`](roots_domain::port::crypto::Locksmith) and
//! [`Keyring`](roots_domain::port::crypto::Keyring). `docs/security.md` describes the formats, and
//! the vectors in `tests/vectors_1.json` fix them. Any change of a byte needs a format 2 that still
//! reads format 1.

mod hierarchy;
mod seal;
mod token;

pub use hierarchy::RingLocksmith;
pub use seal::{Entropy, SystemEntropy};
