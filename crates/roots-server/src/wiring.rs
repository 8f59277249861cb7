//! Wires the domain to the system's clock, the cryptography, a database and HTTP.

use std::sync::Arc;

use axum::Router;
use roots_crypto::RingLocksmith;
use roots_domain::service::{Ports, Services};
use roots_http::Signup;
use roots_http_core::settings::HttpSettings;
use roots_http_core::state::HttpState;
use roots_http_core::surface;
use roots_persistence::{DatabaseUrl, OpenError, Store, Threads};
use roots_web::Dashboard;

use crate::ambient::{SystemClock, TimedUids};

/// Opens and migrates a database.
///
/// # Errors
/// It can't be opened or migrated.
pub(crate) async fn open(url: &DatabaseUrl, threads: &Threads) -> Result<Store, OpenError> {
    let store = Store::open_for(url, Arc::new(SystemClock), threads).await?;
    store.migrate().await?;
    Ok(store)
}

/// All services, on that database.
pub(crate) fn services(store: &Store) -> Services {
    let ports = Ports::of(store.clone(), Arc::new(RingLocksmith::default()));
    Services::new(ports, Arc::new(SystemClock), Arc::new(TimedUids))
}

/// Everything that is served over HTTP.
pub(crate) fn router(
    services: Services,
    signup: Signup,
    dashboard: Dashboard,
    settings: &HttpSettings,
) -> Router {
    let shared = HttpState::new(&services, settings);
    let uids = Arc::clone(&services.uids);
    let mcp = roots_mcp::surface(&services, settings, Arc::clone(&shared));
    let pages = roots_web::surface(&services, settings, Arc::clone(&shared), dashboard);
    let api = roots_http::surface(services, signup, shared);
    surface::router([api, mcp].into_iter().chain(pages), settings, uids)
}
