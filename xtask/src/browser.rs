//! Finds Chromium and its driver on this machine, or installs them, and installs axe-core, which
//! checks pages.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use crate::packages::{self, InstallError};
use crate::tools::Tools;

/// The folder of `xtask` that pins axe-core.
const TOOLS: &str = "browser";

/// The names of Chromium on a PATH, and where packages put it outside.
const BROWSERS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// The same of its driver.
const DRIVERS: [&str; 3] =
    ["chromedriver", "/usr/lib/chromium/chromedriver", "/usr/lib/chromium-browser/chromedriver"];

/// The command of each package manager that installs both.
const MANAGERS: [(&str, &str); 3] = [
    (
        "apt-get",
        "export DEBIAN_FRONTEND=noninteractive
        apt-get --quiet update
        apt-get --quiet install --yes --no-install-recommends -o DPkg::Lock::Timeout=120 \
            chromium chromium-driver",
    ),
    ("dnf", "dnf install --assumeyes chromium chromedriver"),
    ("apk", "apk add chromium chromium-chromedriver"),
];

#[derive(Debug, thiserror::Error)]
#[error(
    "the browser tests need Chromium and chromedriver, which could not be installed: {reason}. \
     Install them, then run this again:
  Debian, Ubuntu: apt-get install chromium chromium-driver
  Fedora:         dnf install chromium chromedriver
  Alpine:         apk add chromium chromium-chromedriver
  Arch:           pacman -S chromium
  macOS:          brew install google-chrome chromedriver"
)]
struct BrowserMissing {
    reason: String,
}

/// The environment variables that the browser tests read.
pub(crate) fn variables() -> Result<[(&'static str, PathBuf); 3], Box<dyn Error>> {
    let found = || Some((find(&BROWSERS)?, find(&DRIVERS)?));
    let (browser, driver) = if let Some(both) = found() {
        both
    } else {
        packages::install("Chromium", &MANAGERS).map_err(missing)?;
        let reason = || "the package manager succeeded, but xtask can't find them".to_owned();
        found().ok_or_else(|| BrowserMissing { reason: reason() })?
    };
    let axe = Tools::provide(TOOLS)?.path("node_modules/axe-core/axe.min.js");
    Ok([
        ("ROOTS_TEST_BROWSER", browser),
        ("ROOTS_TEST_BROWSER_DRIVER", driver),
        ("ROOTS_TEST_AXE", axe),
    ])
}

/// The first of these programs that exists.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    // A path that is absolute stays what it is when it is joined.
    let places = |name: &&str| folders.iter().map(|folder| folder.join(name)).collect::<Vec<_>>();
    names.iter().flat_map(places).find(|path| Path::is_file(path))
}

fn missing(error: InstallError) -> Box<dyn Error> {
    match error {
        InstallError::NotInstalled(reason) => BrowserMissing { reason }.into(),
        InstallError::Run(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_exists_is_found() {
        let (none, shell) = ("no-such-program", find(&["sh"]).unwrap());
        assert!(shell.is_absolute());
        assert_eq!(find(&[none, "sh"]), Some(shell.clone()));
        assert_eq!(find(&[none, shell.to_str().unwrap()]), Some(shell));
        assert_eq!(find(&[none]), None);
    }

    #[test]
    fn the_error_names_the_reason_and_the_packages() {
        let error = BrowserMissing { reason: "no luck".into() }.to_string();
        let cure = "apt-get install chromium chromium-driver";
        assert!(error.contains("no luck") && error.contains(cure), "{error}");
    }
}
