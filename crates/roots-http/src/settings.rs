//! The settings of the API.

use std::time::Duration;

use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::middleware::cors::CorsOrigin;
use roots_http_core::middleware::memory_budget::MemoryBudget;
use roots_http_core::shutdown::Shutdown;

/// The settings of the API. By default sign-up is closed.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Whether anybody may create an account.
    pub signup: Signup,
    /// The origins of web pages that may call the API from a browser; by default none.
    pub cors_origins: Vec<CorsOrigin>,
    /// The rate limits.
    pub limits: RateLimits,
    /// The proxies whose `X-Forwarded-For` is trusted; by default none.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Tells when the service shuts down.
    pub shutdown: Shutdown,
    /// The memory that large answers share until they are sent.
    pub large_answers: MemoryBudget,
    /// How many request bodies above 128 KiB are held at once, each of at most 1 MiB. One address
    /// gets at most a quarter of them. By default 64.
    pub large_bodies: usize,
    /// How long a caller is remembered, with its keys unlocked. A key that ends still stops at
    /// once: each read checks whether the account's auth epoch has moved, and the store checks each
    /// write. A key found to be wrong is not looked up again for this time, at most 5 s.
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

/// Whether anybody may create an account with `POST /bootstrap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signup {
    /// Nobody: 403.
    #[default]
    Closed,
    /// Anybody.
    Open {
        /// The credits of a new account, not negative.
        credits: i64,
    },
}
