//! What the core needs of the world, as role-sized traits.

pub mod ambient;
pub mod archive;
pub mod keys;
pub mod store;
