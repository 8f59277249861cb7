//! The compiled program, run in a temporary folder.

pub(crate) use roots_testkit::program::{
    Api, Server, WorkFolder, finish, in_time, mode, text, wait_for,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_roots-server");
