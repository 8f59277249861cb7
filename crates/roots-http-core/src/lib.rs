//! What every HTTP surface of Roots shares: authentication, the middleware, how requests are read,
//! and problems.
//!
//! Nothing here knows a resource. The REST API and any other HTTP surface build on it.

pub mod auth;
pub mod middleware;
pub mod problem;
pub mod request;
pub mod schema;
pub mod shutdown;
pub mod state;
pub mod wire;
