//! Tests of the API over HTTP, with real API keys and on both databases. Some also read the stored
//! bytes, as a thief of the database would.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong in a test has to fail it"
)]

mod access;
mod at_rest;
mod bodies;
mod brief;
mod claims;
mod client;
mod conditional;
mod credits;
mod dashboard;
mod dashboard_costs;
mod dashboard_forms;
mod dashboard_memory;
mod erasures;
mod errors;
mod events;
mod exports;
mod fuzz;
mod idempotency;
mod imports;
mod keys;
mod limits;
mod lists;
mod live_pages;
mod middleware;
mod moved_ciphertexts;
mod now;
mod operators;
mod owner;
mod recovery;
mod restarts;
mod round_trips;
mod rust_client;
mod search;
mod seeds;
mod sessions;
mod sign_ins;
mod text_search;
mod todos;
mod usage;
mod wire;
mod work;
