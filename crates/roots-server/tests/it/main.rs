//! Tests of the compiled program. Each test runs it in a temporary folder.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]

mod commands;
mod connections;
mod database_files;
mod durability;
mod first_start;
mod processes;
mod program;
mod serving;
mod settings;
mod silence;
mod streams;
