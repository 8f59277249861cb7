//! The core of Roots: entities, rules, cost accounting, and the ports to the world.
//!
//! - [`model`]: plain types and the rules on them, without a runtime. [`model::unit`] is a write as a
//!   value, [`model::books`] decides a batch of them.
//! - [`port`]: what the core needs of a database, of cryptography, of time.
//! - [`usecase`]: what callers ask for, one service a resource.
//!
//! It knows nothing of databases, HTTP or ciphers; `cargo xtask tidy` holds it to that.

pub mod model;
pub mod port;
pub mod usecase;
