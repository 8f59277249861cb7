//! The state that the handlers share.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use roots_domain::service::Services;
use roots_http_core::middleware::long_requests::LongRequests;
use roots_http_core::state::SharedState;

use crate::meta::pages::Document;
use crate::meta::pinger::Pinger;
use crate::settings::Signup;

/// The state that the handlers share. Clones refer to the same state.
#[derive(Clone)]
pub(crate) struct App(pub(crate) Arc<AppState>);

/// The parts of an [`App`].
pub(crate) struct AppState {
    pub(crate) shared: SharedState,
    pub(crate) services: Services,
    pub(crate) signup: Signup,
    pub(crate) pinger: Pinger,
    pub(crate) imports: LongRequests,
    /// The description of the API.
    pub(crate) description: &'static Document,
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl FromRef<App> for SharedState {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.shared)
    }
}

impl App {
    /// Starts the work that a deletion has left. Nothing waits for it; if it is interrupted, this
    /// or another process continues it later.
    pub(crate) fn work_off(&self) {
        let leftovers = self.services.leftovers.clone();
        let working = async move {
            if let Err(error) = leftovers.work_off().await {
                tracing::warn!(%error, "a deletion is left for later");
            }
        };
        tokio::spawn(working);
    }
}
