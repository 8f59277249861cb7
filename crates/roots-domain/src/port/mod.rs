//! Ports: the traits that the domain needs implemented, one for each role.

pub mod archive;
pub mod clock;
pub mod crypto;
pub mod store;
