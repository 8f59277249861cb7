//! A server, an account and a browser that is signed in there.

use std::path::Path;

use roots_browser::api::Api;
use roots_browser::browser::Browser;
use roots_browser::seed::{Amount, Seeded};
use roots_browser::server::Server;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_roots-server");

/// What a test needs.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    pub(crate) server: Server,
    pub(crate) seeded: Seeded,
}

impl Visit {
    /// Signs in to an account with so much in it.
    pub(crate) async fn to(amount: Amount) -> Self {
        Self::with(amount, &[]).await
    }

    /// The same, with settings of the server.
    pub(crate) async fn with(amount: Amount, settings: &[(&str, &str)]) -> Self {
        let server = Server::start(Path::new(PROGRAM), settings).await;
        let seeded = Seeded::new(&server.url(), amount).await;
        let browser = Browser::start().await;
        browser.sign_in(&server.url(), &seeded.owner.key).await;
        Self { browser, server, seeded }
    }

    /// Opens a path.
    pub(crate) async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.server.url())).await;
    }

    /// The cookie of the sign-in, as a request sends it.
    pub(crate) async fn sign_in_cookie(&self) -> String {
        let (_, port) = self.server.address.rsplit_once(':').unwrap();
        let name = format!("roots-{port}");
        let cookies = self.browser.cookies().await;
        let cookie = cookies.iter().find(|cookie| cookie.name == name).unwrap();
        format!("{name}={}", cookie.value)
    }

    /// The owner of the account.
    pub(crate) fn owner(&self) -> &Api {
        &self.seeded.owner
    }

    /// Ends the browser, whose console must have been silent.
    pub(crate) async fn end(self) {
        assert_eq!(self.browser.console_errors().await, Vec::<String>::new());
        self.browser.quit().await;
    }
}
