//! The PostgreSQL server of the tests.

use std::env;
use std::path::PathBuf;

/// A `PostgreSQL` superuser URL for tests. Each test creates its own database.
///
/// # Panics
///
/// Panics if `ROOTS_TEST_POSTGRES` is not set, because no test is skipped.
#[must_use]
pub fn server_url() -> String {
    variable("ROOTS_TEST_POSTGRES")
}

/// The path of a program of that server, such as `pg_dump`.
///
/// # Panics
///
/// Panics if `ROOTS_TEST_POSTGRES_BIN` is not set.
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
