//! The `PostgreSQL` that the tests run on.

use std::env;
use std::path::PathBuf;

/// The URL of a superuser on a server of which the tests may make what they like: each makes a
/// database of its own.
///
/// # Panics
///
/// Where there is none: a test is never skipped.
#[must_use]
pub fn server_url() -> String {
    variable("ROOTS_TEST_POSTGRES")
}

/// One of the programs that came with that server, such as `pg_dump`.
///
/// # Panics
///
/// Where there is no such server.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    PathBuf::from(variable("ROOTS_TEST_POSTGRES_BIN")).join(name)
}

#[expect(
    clippy::panic,
    reason = "this crate is for tests, and a test without its database has to fail"
)]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set, and the tests need a PostgreSQL: run them by `cargo xtask test`, or run \
             `cargo xtask postgres` in another terminal and set the variables that it prints"
        )
    })
}
