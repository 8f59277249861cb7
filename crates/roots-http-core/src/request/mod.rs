//! How a request is read: strictly, and with every error in one answer.

pub mod fields;
pub mod invalid_json;
pub mod json;
pub mod pagination;
pub mod path;
pub mod preconditions;
pub mod query;
pub(crate) mod secrets;
