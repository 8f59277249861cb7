//! Setting up the programs in which agents work: their hooks, their MCP entry, and what their
//! agents are told.

mod disk;
mod error;
mod json;
mod json_text;
mod plan;
mod program;
mod section;

pub(crate) use error::SetupError;
pub(crate) use plan::{Action, Change, Plan, State};
pub(crate) use program::{Places, Program, Scope};

#[cfg(test)]
mod tests;
