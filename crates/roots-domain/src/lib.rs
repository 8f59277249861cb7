//! The domain of Roots: entities, rules, cost accounting, and ports.
//!
//! - [`model`]: plain types and the rules on them, without a runtime. [`command`] is a write as a
//!   value, [`decide`] decides a batch of them.
//! - [`port`]: traits for the database, for cryptography and for time.
//! - [`service`]: the operations that callers use, one service for each resource.
//! - `reference_model`: the rules of writes once more, for tests.
//!
//! It does not depend on databases, HTTP or ciphers; `cargo xtask tidy` checks that.

pub mod command;
pub mod decide;
pub mod model;
pub mod port;
#[cfg(any(test, feature = "mock"))]
pub mod reference_model;
pub mod service;
