//! The program `roots` against the real API, and against servers of tests.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test has to fail it")]

mod accounts;
mod claims;
mod errors;
mod finding;
mod help;
mod logins;
mod program;
mod programs;
mod scripted_server;
mod sessions;
mod todos;
mod transfers;
