//! The command as programs and people run it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]

mod programs;
