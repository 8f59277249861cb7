//! Searches. They open very many texts, so they run on threads of their own and few at a time.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::service::ReadError;
use roots_domain::service::access::Caller;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::fair_permits::{FairPermit, FairPermits, PermitLimits, QueueFull};
use crate::problem::Problem;

/// Longest time that a search waits for others to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Limits on searches. Clones share them.
#[derive(Debug, Clone)]
pub struct Searches {
    /// An actor has one search at a time.
    of_actors: FairPermits<(AccountId, ActorId)>,
    /// Accounts take turns.
    of_accounts: FairPermits,
}

/// The permits of a running search.
struct SearchPermits {
    _of_actor: FairPermit<(AccountId, ActorId)>,
    _of_account: FairPermit,
}

impl Default for Searches {
    /// Searches take half of the processors, and at least one.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::at_once(processors / 2)
    }
}

impl Searches {
    /// Limits with this number of searches at once, and at least one.
    #[must_use]
    pub fn at_once(most: usize) -> Self {
        let waiting = PermitLimits { at_once: 1, at_once_each: 1, waiting: 512, waiting_each: 64 };
        let of_actors = PermitLimits { at_once: usize::MAX, ..waiting };
        let most = most.max(1);
        let of_accounts = PermitLimits { at_once: most, at_once_each: most, ..waiting };
        Self { of_actors: FairPermits::new(of_actors), of_accounts: FairPermits::new(of_accounts) }
    }

    /// Runs a search on a thread of its own once it is the caller's turn. If the request ends
    /// first, the search ends at its next read.
    ///
    /// Inside: 503 if the search waited for 1 s, or too many others wait.
    ///
    /// # Errors
    /// The error of the search.
    pub async fn run<T: Send + 'static>(
        &self,
        caller: &Caller,
        search: impl Future<Output = Result<T, ReadError>> + Send + 'static,
    ) -> Result<Result<T, Problem>, ReadError> {
        let permits = tokio::time::timeout(PATIENCE, self.permits(caller)).await;
        let Ok(Ok(permits)) = permits else { return Ok(Err(Problem::too_many_searches())) };
        let (mut reply, found) = oneshot::channel();
        let (runtime, span) = (Handle::current(), Span::current());
        // A thread that serves others would do nothing else meanwhile.
        tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let searching = async {
                tokio::select! {
                    biased;
                    () = reply.closed() => None,
                    found = search => Some(found),
                }
            };
            if let Some(found) = runtime.block_on(searching.instrument(span)) {
                // The request may have ended.
                let _ = reply.send(found);
            }
        });
        match found.await {
            Ok(found) => found.map(Ok),
            Err(_) => Ok(Err(Problem::internal("a search panicked"))),
        }
    }

    async fn permits(&self, caller: &Caller) -> Result<SearchPermits, QueueFull> {
        let account = caller.account.id;
        // First the actor's: its searches wait for each other without a place among the others.
        let of_actor = self.of_actors.take((account, caller.actor.id)).await?;
        let of_account = self.of_accounts.take(account).await?;
        Ok(SearchPermits { _of_actor: of_actor, _of_account: of_account })
    }
}
