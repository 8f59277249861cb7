//! Value types: every instance is valid.

pub mod etag;
pub mod id;
pub(super) mod invalid;
pub mod page;
pub(super) mod patch;
pub mod sealed;
pub mod text;
pub mod time;
pub mod zone;
