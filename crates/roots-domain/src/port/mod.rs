//! What the core needs of the world, as role-sized traits.

pub mod archive;
pub mod clock;
pub mod crypto;
pub mod store;
