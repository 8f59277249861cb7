//! `/todos`: the board, and one todo.

pub(crate) mod board;
mod card;
pub(crate) mod create;
pub(crate) mod edit;
mod fields;
mod filter;
pub(crate) mod item;
mod labels;
pub(crate) mod step;
