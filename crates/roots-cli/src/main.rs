//! The `roots` command.
#![allow(dead_code, unused_imports)]

mod setup;

fn main() {}
