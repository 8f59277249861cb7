//! Tests of the REST API over mocked ports. Each answer is beside its request.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod auth;
mod bodies;
mod brief;
mod compression;
mod conditional;
mod coverage;
mod cursors;
mod description;
mod docs;
mod errors;
mod events;
mod exports;
mod fixture;
mod fuzz;
mod idempotency;
mod imports;
mod limits;
mod memory_budget;
mod middleware;
mod operators;
mod owner;
mod queries;
mod refusals;
mod search;
mod successes;
