//! Tests of the pages in a headless Chromium, against the compiled program.
//!
//! They wait until something shows, and never for a time. A browser takes a second or two to start,
//! so a test is a whole visit.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test has to fail it")]

mod access;
mod charts;
mod forms;
mod hostile_texts;
mod keys;
mod live;
mod no_script;
mod processes;
mod signing_in;
mod swaps;
mod the_bar;
mod todos;
mod visit;
