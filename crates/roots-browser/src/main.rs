//! Writes pictures of every page, light and dark, wide and narrow, of an empty, a usual and a
//! crowded account, or measures the first paint. `cargo xtask screenshots` starts it.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "the developer at the terminal reads the progress, and what goes wrong has to stop it"
)]

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use roots_browser::api::Api;
use roots_browser::browser::{Browser, Theme, Width};
use roots_browser::pages::{Page, pages, pages_of_nobody, pages_of_operators};
use roots_browser::paint::Paint;
use roots_browser::palette;
use roots_browser::seed::{Amount, Seeded};
use roots_browser::server::Server;
use serde_json::json;

/// The pictures of the README: the name, the width and the theme of each.
const README: [(&str, Width, Theme); 4] = [
    ("now", Width::Wide, Theme::Light),
    ("todos", Width::Wide, Theme::Dark),
    ("sessions", Width::Wide, Theme::Light),
    ("now", Width::Phone, Theme::Dark),
];

/// A page is cut after so many pixels.
const HEIGHT_MAX: u64 = 3_000;
/// Those of the README are cut after so many.
const README_HEIGHT_MAX: u64 = 900;
/// How often the first paint is measured.
const PAINTS: usize = 5;

#[derive(Parser)]
struct Options {
    /// The program of the server
    #[arg(long)]
    server: PathBuf,
    /// The folder of all pictures
    #[arg(long, required_unless_present = "paint")]
    out: Option<PathBuf>,
    /// The folder of those of the README
    #[arg(long, required_unless_present = "paint")]
    readme: Option<PathBuf>,
    /// Take no pictures; measure the first visit to Now on a slow line
    #[arg(long)]
    paint: bool,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let server = Server::start(&options.server, &[]).await;
    let (Some(out), Some(readme)) = (&options.out, &options.readme) else {
        return measure_paints(&server).await;
    };
    for amount in Amount::ALL {
        let seeded = Seeded::new(&server.url(), amount).await;
        let camera = Camera { browser: Browser::start().await, url: server.url() };
        let folder = out.join(amount.name());
        camera.take_all(&folder, &pages_of_nobody()).await;
        camera.browser.sign_in(&server.url(), &seeded.owner.key).await;
        camera.take_all(&folder, &pages(&seeded)).await;
        if amount == Amount::Usual {
            camera.take_for_readme(readme).await;
        }
        camera.browser.quit().await;
    }
    let operator: Api = server.operator();
    let camera = Camera { browser: Browser::start().await, url: server.url() };
    camera.browser.sign_in(&server.url(), &operator.key).await;
    camera.take_all(&out.join("operator"), &pages_of_operators(2)).await;
    camera.browser.quit().await;
}

/// Visits Now of a usual account, with an empty cache each time, and prints what it took.
async fn measure_paints(server: &Server) {
    let seeded = Seeded::new(&server.url(), Amount::Usual).await;
    println!("| run | FCP, ms | LCP, ms | CLS |\n|---|---|---|---|");
    for run in 1..=PAINTS {
        let browser = Browser::start().await;
        browser.sign_in(&server.url(), &seeded.owner.key).await;
        let Paint { first, largest, shift } = browser.first_paint(&server.url()).await;
        println!("| {run} | {first:.0} | {largest:.0} | {shift:.3} |");
        browser.quit().await;
    }
}

struct Camera {
    browser: Browser,
    url: String,
}

impl Camera {
    async fn take_all(&self, folder: &Path, pages: &[Page]) {
        for Page { name, path } in pages {
            for width in [Width::Wide, Width::Phone] {
                for theme in [Theme::Light, Theme::Dark] {
                    let file = format!("{name}-{}-{}.png", width.pixels(), theme.name());
                    let picture = self.picture(path, width, theme, HEIGHT_MAX).await;
                    keep(&folder.join(file), &picture);
                }
            }
        }
        println!("{}: {} pages", folder.display(), pages.len());
    }

    async fn take_for_readme(&self, folder: &Path) {
        for (name, width, theme) in README {
            let path = if name == "now" { "/".to_owned() } else { format!("/{name}") };
            let file = folder.join(format!("{name}-{}-{}.png", width.pixels(), theme.name()));
            let picture = self.picture(&path, width, theme, README_HEIGHT_MAX).await;
            keep(&file, &palette::reduced(&picture));
        }
        println!("{}: {} pictures", folder.display(), README.len());
    }

    async fn picture(&self, path: &str, width: Width, theme: Theme, height_max: u64) -> Vec<u8> {
        let Self { browser, url } = self;
        browser.set_width(width).await;
        browser.set_theme(theme).await;
        browser.open(&format!("{url}{path}")).await;
        let height = browser.value("document.documentElement.scrollHeight").await;
        let height = height.as_u64().unwrap_or_default().clamp(844, height_max);
        let screen = json!({
            "width": width.pixels(), "height": height, "deviceScaleFactor": 1,
            "mobile": width != Width::Wide
        });
        browser.command("Emulation.setDeviceMetricsOverride", screen).await;
        browser.driver.screenshot_as_png().await.expect("a picture")
    }
}

fn keep(file: &Path, picture: &[u8]) {
    fs::create_dir_all(file.parent().unwrap_or(file)).expect("a folder");
    fs::write(file, picture).expect("a file");
}
