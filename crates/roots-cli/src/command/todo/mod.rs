//! `roots todo`: todos and their claims.

mod arguments;
mod text;
mod todos;

pub(crate) use arguments::{TodoCommand, actor, seconds, status};
pub(crate) use todos::run;
