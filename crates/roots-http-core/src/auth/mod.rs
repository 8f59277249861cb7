//! Authentication of requests, and rate limits.

pub mod authenticate;
pub mod caller_cache;
pub mod client_context;
pub mod client_ip;
pub mod cookie;
mod key_header;
pub mod page_bearer;
pub mod rate_limit;
