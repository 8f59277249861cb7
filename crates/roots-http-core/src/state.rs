//! What the handlers of every HTTP surface share.

use std::sync::Arc;

use roots_domain::service::Services;
use roots_domain::service::access::Access;
use roots_domain::service::key_usage::KeyUsage;
use roots_domain::service::usage::Usage;

use crate::auth::caller_cache::Callers;
use crate::middleware::list_permits::ListPermits;
use crate::middleware::memory_budget::MemoryBudget;
use crate::shutdown::Shutdown;

/// What they share. A surface whose own state holds it gives it out by [`axum::extract::FromRef`].
pub type SharedState = Arc<HttpState>;

/// What admits callers, counts their calls and bounds what their answers hold.
pub struct HttpState {
    /// Admits callers.
    pub access: Access,
    /// How often accounts call what.
    pub usage: Usage,
    /// When keys were last used.
    pub key_usage: KeyUsage,
    /// The callers that were admitted a moment ago.
    pub callers: Callers,
    /// Who may read, and what answers may hold.
    pub list_permits: ListPermits,
    /// When the service is to end.
    pub shutdown: Shutdown,
}

impl HttpState {
    /// With so much memory for large answers. `callers` are forgotten as the epochs tell of keys that have
    /// ended.
    #[must_use]
    pub fn new(
        services: &Services,
        callers: Callers,
        large_answers: MemoryBudget,
        shutdown: Shutdown,
    ) -> Self {
        callers.listen(&*services.epochs);
        Self {
            access: services.access.clone(),
            usage: services.usage.clone(),
            key_usage: services.key_usage.clone(),
            callers,
            list_permits: ListPermits::new(large_answers),
            shutdown,
        }
    }
}
