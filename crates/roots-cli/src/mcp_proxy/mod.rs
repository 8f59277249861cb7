//! `roots mcp`: a client of MCP on standard input and output, and the server's `/mcp` behind it.

mod answer;
mod call;
mod exchange;
mod members;
mod message;
mod own_session;
mod run;
mod server;
mod tools;

pub(crate) use run::run;
