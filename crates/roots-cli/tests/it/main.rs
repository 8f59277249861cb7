//! The program `roots` against the real API.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test has to fail it")]

mod claims;
mod errors;
mod help;
mod logins;
mod program;
mod sessions;
mod todos;
