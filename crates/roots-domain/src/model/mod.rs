//! Entities and rules: plain functions on plain types, without a runtime.

pub mod account;
pub mod activity;
pub mod api_key;
pub mod audit;
pub mod bearer;
pub mod brief;
pub mod chart;
pub mod claim;
pub mod counter;
pub mod credit;
pub mod csv;
pub mod dashboard;
pub mod deadline;
pub mod event;
pub mod feed;
pub mod forecast;
pub mod idempotency;
pub mod import;
pub mod import_file;
mod named;
pub mod quota;
pub mod search;
pub mod session;
pub mod session_entries;
pub mod sign_in;
pub mod source_row;
pub mod step;
pub mod todo;
pub mod todo_list;
pub mod usage;
mod value;
pub mod work;

pub use value::invalid::Invalid;
pub use value::patch::Patch;
pub use value::{etag, id, page, sealed, text, time, zone};
