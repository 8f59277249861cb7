//! How the API is served.

use std::time::Duration;

use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::middleware::cors::CorsOrigin;
use roots_http_core::middleware::memory_budget::MemoryBudget;
use roots_http_core::shutdown::Shutdown;

/// How the API is served. The default is closed to new accounts.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Who may make an account.
    pub signup: Signup,
    /// The web pages that may call the API from a browser: none unless named.
    pub cors_origins: Vec<CorsOrigin>,
    /// How often may be asked.
    pub limits: RateLimits,
    /// The proxies that are believed when they say whom they ask for: none unless named.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// When it is to end.
    pub shutdown: Shutdown,
    /// What large answers hold together until they are sent.
    pub large_answers: MemoryBudget,
    /// How many bodies of requests above 128 KiB are held at once, 1 MiB each at most. One address has
    /// at most a quarter of them. By default 64.
    pub large_bodies: usize,
    /// How long a caller is remembered, with its keys unlocked. One whose key has ended stops at once all
    /// the same: each read tells whether the account's auth epoch has moved, and each write is checked
    /// by the store. One that was found wrong is not looked up again for that long, or for 5 s.
    pub caller_ttl: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            signup: Signup::default(),
            cors_origins: Vec::new(),
            limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            shutdown: Shutdown::default(),
            large_answers: MemoryBudget::default(),
            large_bodies: 64,
            caller_ttl: Duration::from_mins(10),
        }
    }
}

/// Who may make an account by `POST /bootstrap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signup {
    /// Nobody: 403.
    #[default]
    Closed,
    /// Anybody.
    Open {
        /// The credits a new account starts with, not negative.
        credits: i64,
    },
}
