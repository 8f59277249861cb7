//! The settings that all surfaces share.

use std::time::Duration;

use roots_domain::model::dashboard::DashboardRules;

use crate::auth::client_ip::TrustedProxy;
use crate::auth::rate_limit::RateLimits;
use crate::middleware::cors::CorsOrigin;
use crate::middleware::hosts::Hosts;
use crate::middleware::memory_budget::MemoryBudget;
use crate::shutdown::Shutdown;

/// The settings that all surfaces share.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The origins of web pages that may call this server from a browser; by default none.
    pub cors_origins: Vec<CorsOrigin>,
    /// The names of this server. What a browser may reach without sending a key itself is served
    /// under no other; by default they are the loopback names.
    pub hosts: Hosts,
    /// The rate limits.
    pub limits: RateLimits,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted; by default none.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Whether the cookie of a sign-in may travel over plain HTTP between machines, where everybody
    /// on the way can read it; by default not.
    pub allows_plain_cookies: bool,
    /// Tells when the service shuts down.
    pub shutdown: Shutdown,
    /// The memory that large answers share until they are sent.
    pub large_answers: MemoryBudget,
    /// How many request bodies above 128 KiB are held at once, each of at most 1 MiB. One address
    /// gets at most a quarter of them. By default 64.
    pub large_bodies: usize,
    /// How many streams of events may be open at once, the API's and the pages' together; by
    /// default 300.
    pub streams: usize,
    /// How long a caller is remembered, with its keys unlocked. A key that ends still stops at
    /// once: each read checks whether the account's auth epoch has moved, and the store checks each
    /// write. A key found to be wrong is not looked up again for this time, at most 5 s.
    pub caller_ttl: Duration,
    /// What pages call quiet: by default an active session without a write for 30 minutes.
    pub dashboard: DashboardRules,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            hosts: Hosts::default(),
            limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            allows_plain_cookies: false,
            shutdown: Shutdown::default(),
            large_answers: MemoryBudget::default(),
            large_bodies: 64,
            streams: 300,
            caller_ttl: Duration::from_mins(10),
            dashboard: DashboardRules { quiet_after_seconds: Some(1_800) },
        }
    }
}
