//! The state that the handlers of every HTTP surface share.

use std::sync::Arc;

use roots_domain::service::Services;
use roots_domain::service::access::Access;
use roots_domain::service::key_usage::KeyUsage;
use roots_domain::service::usage::Usage;

use crate::auth::caller_cache::Callers;
use crate::auth::cookie::CookiePolicy;
use crate::export::running::RunningExports;
use crate::middleware::fair_permits::FairPermits;
use crate::middleware::list_permits::ListPermits;
use crate::middleware::searches::Searches;
use crate::settings::HttpSettings;
use crate::shutdown::Shutdown;
use crate::streams::account_watch::AccountWatch;
use crate::streams::places;
use crate::streams::places::StreamPlaces;

/// The shared state. A surface provides it from its own state with [`axum::extract::FromRef`].
pub type SharedState = Arc<HttpState>;

/// Admits callers, counts their calls and limits the memory of their answers.
pub struct HttpState {
    /// Authenticates callers.
    pub access: Access,
    /// Counts the calls of accounts.
    pub usage: Usage,
    /// Records when keys were last used.
    pub key_usage: KeyUsage,
    /// The cache of recently admitted callers.
    pub callers: Callers,
    /// Which cookies can be set.
    pub cookies: CookiePolicy,
    /// Limits on lists: how many are read at once, and how much memory their answers may hold.
    pub list_permits: ListPermits,
    /// Limits on exports: how many run at once.
    pub exports: RunningExports,
    /// Limits on searches: how many run at once.
    pub searches: Searches,
    /// Limits on streams: how many are open at once.
    pub stream_places: StreamPlaces,
    /// The turns in which streams read what they tell.
    pub stream_turns: FairPermits,
    /// Tells streams how far their accounts have come.
    pub account_watch: AccountWatch,
    /// Tells when the service shuts down.
    pub shutdown: Shutdown,
}

impl HttpState {
    /// Shared state with these settings. It drops remembered callers when the services report that
    /// keys have ended.
    #[must_use]
    pub fn new(services: &Services, settings: &HttpSettings) -> SharedState {
        let callers = Callers::new(settings.caller_ttl);
        callers.listen(&*services.epochs);
        Arc::new(Self {
            access: services.access.clone(),
            usage: services.usage.clone(),
            key_usage: services.key_usage.clone(),
            callers,
            cookies: CookiePolicy {
                trusted: settings.trusted_proxies.clone(),
                allows_plain: settings.allows_plain_cookies,
            },
            list_permits: ListPermits::new(settings.large_answers.clone()),
            exports: RunningExports::new(settings.shutdown.clone()),
            searches: Searches::default(),
            stream_places: StreamPlaces::new(settings.streams),
            stream_turns: places::turns(),
            account_watch: AccountWatch::new(
                Arc::clone(&services.events.reader),
                Arc::clone(&services.placement),
            ),
            shutdown: settings.shutdown.clone(),
        })
    }
}
