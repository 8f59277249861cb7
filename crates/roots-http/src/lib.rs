//! The REST API of Roots.
//!
//! [`surface`] builds the API on the services of `roots-domain`; [`openapi`] describes it. Nothing
//! here decides anything about sessions, todos, activities or credits: a handler reads a request,
//! calls a service, and writes the answer.

mod accounts;
mod activities;
mod actors;
mod app;
mod audit;
mod brief;
mod claims;
mod erasures;
mod events;
mod export;
mod import;
mod keys;
mod listed;
mod meta;
mod openapi;
mod operators;
mod preconditions;
mod router;
mod rows;
mod search;
mod sessions;
mod settings;
#[cfg(test)]
mod tests;
mod todo_bodies;
mod todo_query;
mod todos;
mod usage;
mod wire;
mod work;

pub use accounts::Bootstrapped;
pub use router::{openapi, surface};
pub use settings::Signup;
