//! The client against small servers in this process, and against the OpenAPI document.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]

mod document;
mod events;
mod examples;
mod operations;
mod repeats;
mod requests;
mod schemas;
mod server;
mod streams;
