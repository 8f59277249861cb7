//! What programs run: hooks and the MCP server; and how they are set up.

mod agents_page;
mod fake_server;
mod hook;
mod mcp;
mod mcp_client;
mod mcp_sessions;
mod mcp_writes;
mod setup;
mod world;
