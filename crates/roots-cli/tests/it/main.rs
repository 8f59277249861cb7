//! The program `roots` against the real API, and against servers of tests.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test has to fail it")]

mod claims;
mod errors;
mod help;
mod logins;
mod program;
mod programs;
mod sessions;
mod todos;
