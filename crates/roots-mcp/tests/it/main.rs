//! Tests of MCP over HTTP, with real API keys and on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong in a test has to fail it"
)]

mod brief;
mod client;
mod guards;
mod items;
mod lists;
mod protocol;
mod refusals;
mod rust_sdk;
mod writes;
