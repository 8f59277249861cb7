//! Tests of the compiled program on a Citus cluster that the caller has started, run by
//! `cargo xtask test --cluster URL`. They stop and start its nodes, so they run one after another.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]
#![expect(clippy::print_stdout, reason = "docs/operations.md has the figures")]

mod installation;
mod load;
mod lost_nodes;
mod moved_shards;
mod nodes;
mod phases;
mod servers;
