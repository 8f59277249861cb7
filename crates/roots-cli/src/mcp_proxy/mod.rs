//! `roots mcp`: a client of MCP on standard input and output, and the server's `/mcp` behind it.

mod answer;
mod exchange;
mod message;
mod run;

pub(crate) use run::run;
