//! What every HTTP surface of Roots shares: authentication, the middleware, how requests are read,
//! and problems.
//!
//! The REST API and any other HTTP surface build on it. Nothing here knows what a surface serves:
//! each one says how its routes count against the limits, which of them are private, and which
//! headers they take. Only the prefix of the API and the page of problems are fixed
//! ([`wire::API_PATH`], [`wire::PROBLEMS_PATH`]).

pub mod auth;
pub mod export;
pub mod middleware;
pub mod problem;
pub mod request;
pub mod schema;
pub mod settings;
pub mod shutdown;
pub mod state;
pub mod streams;
pub mod surface;
pub mod wire;
