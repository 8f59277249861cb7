//! The program itself, run as its users run it: each test in a folder of its own.
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
