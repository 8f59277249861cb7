//! What the program writes: data on standard output, everything else on standard error.

mod json;
mod shape;
mod table;
mod terminal;
mod text;

pub(crate) use json::View;
pub(crate) use shape::{
    ACTIVITY, ANY, SESSION, Shape, TODO, TODO_CLAIMED, TODO_DELETED, TODO_LIST, TODO_LOG,
};
pub(crate) use table::Table;
pub(crate) use terminal::{Output, line, tell};
pub(crate) use text::{one_line, printable};
