//! The core of Roots: entities, rules, cost accounting, and the ports to the world.
//!
//! - [`model`]: plain types and the rules on them, without a runtime. [`command`] is a write as a
//!   value, [`decide`] decides a batch of them.
//! - [`port`]: what the core needs of a database, of cryptography, of time.
//! - [`service`]: what callers ask for, one service a resource.
//!
//! It knows nothing of databases, HTTP or ciphers; `cargo xtask tidy` holds it to that.

pub mod command;
pub mod decide;
pub mod model;
pub mod port;
pub mod service;
