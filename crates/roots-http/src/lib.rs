//! The REST API of Roots.
//!
//! [`router`] is the whole of it, over the core's use cases; [`openapi`] describes it. Nothing here
//! decides anything about sessions, todos, activities or credits: a handler reads a request, asks
//! the core, and words its answer.

mod accounts;
mod activities;
mod actors;
mod app;
mod audit;
mod erasures;
mod export;
mod import;
mod keys;
mod long_requests;
mod meta;
mod openapi;
mod operators;
mod router;
mod sessions;
mod settings;
#[cfg(test)]
mod tests;
mod todos;
mod usage;

pub use accounts::Bootstrapped;
pub use router::{openapi, router};
pub use settings::{HttpSettings, Signup};
