//! Starts a headless Chromium by chromedriver.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use tempfile::TempDir;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};

use crate::api::http_client;
use crate::patience::wait_for;
use crate::server::after;
use crate::variable;

/// No graphics, no QUIC, and nothing that calls home or asks at the first start.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1440,900",
];

/// How often chromedriver is started before it is given up.
const TRIES: usize = 5;

/// A Chromium with one window. It ends on drop.
pub struct Browser {
    /// Its driver.
    pub driver: WebDriver,
    _process: DriverProcess,
}

/// The widths that every page is looked at in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1440 px.
    Wide,
    /// 390 px, a phone.
    Phone,
    /// 320 px, the narrowest.
    Narrow,
}

impl Width {
    /// In CSS pixels.
    #[must_use]
    pub const fn pixels(self) -> u32 {
        match self {
            Self::Wide => 1_440,
            Self::Phone => 390,
            Self::Narrow => 320,
        }
    }
}

/// The themes that a system asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// As CSS calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Browser {
    /// Starts one with an empty profile.
    pub async fn start() -> Self {
        let process = DriverProcess::start().await;
        let mut wanted = DesiredCapabilities::chrome();
        let profile = process.folder.path().join("profile");
        let set = || -> Result<(), thirtyfour::error::WebDriverError> {
            wanted.set_binary(&variable::path(variable::BROWSER).to_string_lossy())?;
            for argument in ARGUMENTS {
                wanted.add_arg(argument)?;
            }
            wanted.add_arg(&format!("--user-data-dir={}", profile.display()))?;
            if geteuid().is_root() {
                // Chromium's sandbox does not work for root.
                wanted.add_arg("--no-sandbox")?;
            }
            wanted.set_browser_log_level(LoggingPrefsLogLevel::All)
        };
        let mut set = set;
        set().expect("the arguments of Chromium");
        let started =
            WebDriver::builder(&process.url, wanted).client(http_client()).connect().await;
        let driver = started.unwrap_or_else(|error| panic!("Chromium did not start: {error}"));
        Self { driver, _process: process }
    }

    /// Calls a command of Chromium's protocol for developers.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        let sent = self.driver.cdp().send_raw(name, parameters).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Makes the view of pages so wide; phones have touch.
    pub async fn set_width(&self, width: Width) {
        let is_phone = width != Width::Wide;
        let height = if is_phone { 844 } else { 900 };
        let screen = json!({
            "width": width.pixels(), "height": height, "deviceScaleFactor": 1, "mobile": is_phone
        });
        self.command("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Asks for the theme as the system of a viewer does.
    pub async fn set_theme(&self, theme: Theme) {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.name() });
        self.command("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Turns the scripts of pages off or on, from the next page on.
    pub async fn set_scripts(&self, are_on: bool) {
        let off = json!({ "value": !are_on });
        self.command("Emulation.setScriptExecutionDisabled", off).await;
    }

    /// Ends it.
    pub async fn quit(self) {
        self.driver.quit().await.expect("Chromium to end");
    }
}

/// The process of chromedriver, and the folder of Chromium's profile.
struct DriverProcess {
    child: Child,
    folder: TempDir,
    url: String,
}

impl DriverProcess {
    /// chromedriver chooses a port of IPv6, which another process may have of IPv4. Then it ends.
    async fn start() -> Self {
        for _ in 0..TRIES {
            if let Some(process) = Self::try_start().await {
                return process;
            }
        }
        panic!("chromedriver found no free port {TRIES} times");
    }

    async fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = folder.path().join("driver.log");
        let output = File::create(&said).expect("a log");
        let program = variable::path(variable::DRIVER);
        let child = Command::new(&program)
            .arg("--port=0")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()));
        let mut process = Self { child, folder, url: String::new() };
        let port = wait_for("chromedriver to listen", async || {
            let said = fs::read_to_string(&said).unwrap_or_default();
            if !matches!(process.child.try_wait(), Ok(None)) {
                assert!(said.contains("in use"), "chromedriver has ended: {said}");
                return Some(None);
            }
            after("started successfully on port ", &said).map(Some)
        })
        .await?;
        process.url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        Some(process)
    }
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        // Chromium is in its group. It has ended already unless a test failed.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
