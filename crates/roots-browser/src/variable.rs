//! The programs that the tests need, as `cargo xtask test` names them in environment variables.

use std::env;
use std::path::PathBuf;

/// The path of Chromium.
pub const BROWSER: &str = "ROOTS_TEST_BROWSER";
/// The path of chromedriver.
pub const DRIVER: &str = "ROOTS_TEST_BROWSER_DRIVER";
/// The path of axe-core's `axe.min.js`.
pub const AXE: &str = "ROOTS_TEST_AXE";

/// The path in one of the variables.
///
/// # Panics
///
/// Panics if it is not set, because no test is skipped.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let cure = "the browser tests need Chromium, chromedriver and axe-core: run them by `cargo xtask \
                test`, which installs what is missing, or install them (Debian, Ubuntu: `apt-get \
                install chromium chromium-driver`; `npm install axe-core`) and set \
                ROOTS_TEST_BROWSER, ROOTS_TEST_BROWSER_DRIVER and ROOTS_TEST_AXE to their paths";
    env::var_os(name).map_or_else(|| panic!("{name} is not set, and {cure}"), PathBuf::from)
}
