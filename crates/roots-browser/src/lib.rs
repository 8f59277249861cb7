//! What the browser tests and the screenshots of Roots share: a server on a database, an account
//! with data to look at, and a headless Chromium.
//!
//! - `server` runs the compiled program in a temporary folder.
//! - `api` calls its API, and `seed` fills an account through it.
//! - `browser` starts Chromium by its driver; `visit` does on pages what a person does there.
//! - `pages` lists what there is to see.
//! - `paint` measures the first visit on a slow line, and `palette` makes pictures small.
//! - `measure` tells what a page must not have: faults of access, sideways scroll, small targets,
//!   errors on the console, requests to other hosts, and shifts.
//!
//! Setup that fails panics and says why.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this crate is for tests, and a test that can't be set up has to fail"
)]

pub mod api;
pub mod browser;
pub mod measure;
pub mod pages;
pub mod paint;
pub mod palette;
pub mod patience;
pub mod seed;
pub mod server;
pub mod variable;
pub mod visit;
