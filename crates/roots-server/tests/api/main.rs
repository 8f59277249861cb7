//! The API as its callers see it: over HTTP, on each database, with real keys; and what is stored,
//! as a thief of the database sees it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong in a test has to fail it"
)]

mod again;
mod at_rest;
mod bodies;
mod callers;
mod client;
mod conditional;
mod credits;
mod erasures;
mod errors;
mod exports;
mod fuzz;
mod histories;
mod idempotency;
mod imports;
mod keys;
mod limits;
mod lists;
mod middleware;
mod needles;
mod operators;
mod owner;
mod recovery;
mod seeds;
mod sessions;
mod swaps;
mod todos;
mod usage;
mod wire;
