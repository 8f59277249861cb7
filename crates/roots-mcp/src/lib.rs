//! The MCP interface of Roots: ten tools for agents, at `POST /mcp`.
//!
//! It stands on the same services as the REST API, and its tools stand for routes of it: the ledger
//! and the usage name those. [`surface`] builds it. rmcp speaks the protocol, without sessions, in
//! revision 2026-07-28 and in those with `initialize`; nothing is advertised but tools.
//!
//! - `catalog` is what clients see of the tools, `instructions` what they are told of the server.
//! - `message` takes the arguments out of a message, so that they are judged like a body, and
//!   `splice` puts the document into the answer. rmcp sees neither.
//! - `tools` runs the tools, one file a subject; `documents` and `brief_document` are their
//!   results, `fit` makes those fit into a number of tokens, `refusal` writes problems for agents.

mod brief_document;
mod catalog;
mod documents;
mod fit;
mod instructions;
mod message;
mod refusal;
mod server;
mod splice;
mod surface;
mod tools;

pub use message::MCP_PATH;
pub use surface::surface;
