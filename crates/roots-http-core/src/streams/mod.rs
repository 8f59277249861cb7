//! Streams of server-sent events: how many there are, what they follow, and how they are written.
//!
//! The API's and the pages' streams share these limits: each holds a connection for as long as it
//! is open.

pub mod account_watch;
pub mod open_stream;
pub mod places;
pub mod sse;
pub mod versions;
