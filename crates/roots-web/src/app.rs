//! The state of the handlers.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use roots_domain::model::dashboard::DashboardRules;
use roots_domain::model::time::Timestamp;
use roots_domain::service::Services;
use roots_http_core::middleware::fair_permits::FairPermits;
use roots_http_core::middleware::hosts::Hosts;
use roots_http_core::state::SharedState;

/// The state of the handlers. A clone refers to the same state.
#[derive(Clone)]
pub(crate) struct App(pub(crate) Arc<AppState>);

/// What the handlers share.
pub(crate) struct AppState {
    /// The domain's services.
    pub(crate) services: Services,
    /// What all surfaces share.
    pub(crate) shared: SharedState,
    /// The names of this server.
    pub(crate) hosts: Hosts,
    /// The places of requests that wait for the same form, which was sent before.
    pub(crate) same_forms: FairPermits,
    /// What is called quiet.
    pub(crate) rules: DashboardRules,
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl AppState {
    /// The current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.services.access.clock.now()
    }
}

impl FromRef<App> for SharedState {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.shared)
    }
}
